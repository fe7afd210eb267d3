//! Builds HTML. Markup is what stands in this program's source; everything else is text, and is escaped: names and words come
//! from a registry, a module and whoever writes entries.

use crate::text::printable;

/// A piece of HTML.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup, which the program itself must have written.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, in an element or in an attribute between quotes.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            match shown(character) {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// Adds a value of a query, for a link of this page.
    pub(super) fn query(&mut self, value: &str) -> &mut Self {
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => self.0.push(char::from(byte)),
                _ => self.0.push_str(&format!("%{byte:02X}")),
            }
        }
        self
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A character as it may be shown: none that turns the direction of what stands around it.
fn shown(character: char) -> char {
    match character {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        other => printable(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        for (text, expected) in [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onload='x' &amp;", "&quot; onload=&#39;x&#39; &amp;amp;"),
            ("a\u{202e}b\u{0}c\n", "a\u{fffd}b\u{fffd}c\u{fffd}"),
            ("plain é", "plain é"),
        ] {
            let mut html = Html::default();
            html.text(text);
            assert_eq!(html.finish(), expected);
        }
        let mut html = Html::default();
        html.query("a/b c&d=\"é");
        assert_eq!(html.finish(), "a/b%20c%26d%3D%22%C3%A9");
    }
}
