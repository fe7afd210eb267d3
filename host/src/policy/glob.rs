//! Globs over names: `*` stands for any characters, `?` for one. In time that grows with the text alone, whatever the pattern:
//! patterns are an operator's, names are anybody's who may register.

/// Whether a glob fits a whole text.
pub fn fits(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // The last star, and how far the text was read when it was met: where nothing else fits, it takes one more.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match glob.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == text[read] => (at, read) = (at + 1, read + 1),
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (at, read) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    glob[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_whole_names() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("", "", true),
            ("", "a", false),
            ("reviews", "reviews", true),
            ("reviews", "reviews2", false),
            ("reviews*", "reviews2", true),
            ("*-canary", "cart-canary", true),
            ("*-canary", "cart-canary-2", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("?", "é", true),
            ("a*b*c", "aXXbXbXc", true),
            ("a*b*c", "aXXbXbX", false),
            ("**a**", "bab", true),
            ("Reviews", "reviews", false),
        ] {
            assert_eq!(fits(glob, text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn takes_no_time_for_what_is_made_to_take_it() {
        assert!(!fits(&"*a".repeat(60), &"a".repeat(59)));
        assert!(!fits(&format!("{}b", "*a".repeat(60)), &"a".repeat(128)));
    }
}
