//! Texts as people's editors leave them: a byte order mark is read over, another encoding is named, and what a parser says of
//! YAML is said in words for the one who wrote it.

use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Why bytes are no text that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// It is in another encoding, by the mark that it begins with.
    #[error("not UTF-8 text (byte 0), but UTF-16; save it as UTF-8")]
    Utf16,
    /// It is in no encoding that is known here.
    #[error("not UTF-8 text (byte {0}); save it as UTF-8")]
    Other(usize),
}

/// The bytes without the mark that some editors put before UTF-8.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// The text of a file.
pub(crate) fn read(bytes: &[u8]) -> Result<&str, NotText> {
    let bytes = without_mark(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(NotText::Utf16);
    }
    std::str::from_utf8(bytes).map_err(|error| NotText::Other(error.valid_up_to()))
}

/// A character of a foreign text as it may be shown: none that a terminal obeys, and none that begins another line of the log.
pub(crate) fn printable(character: char) -> char {
    if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }
}

/// A number with its noun: `1 entry`, `2 entries`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}

/// A foreign text as it may be shown: of at most so many characters, on one line.
pub fn shown(text: &str, most: usize) -> String {
    let mut cut: String = text.chars().take(most).map(printable).collect();
    if text.len() > cut.len() && text.chars().nth(most).is_some() {
        cut.push_str(&format!("... ({} bytes)", text.len()));
    }
    cut
}

/// What a parser says of YAML, with line and column; so many lines stand before what it was given.
pub(crate) fn yaml_problem(error: &Error, lines_before: u64) -> String {
    let error = error.without_snippet();
    let problem = match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` is there twice; remove one"),
        Error::DuplicateMappingKey { key: None, .. } => "a key is there twice; remove one".into(),
        error => UserMessageFormatter.format_message(error).into_owned(),
    };
    match error.location() {
        Some(at) => format!("line {}, column {}: {problem}", at.line() + lines_before, at.column()),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_utf8_with_and_without_a_mark() {
        for (bytes, expected) in [
            (b"a: b".as_slice(), Ok("a: b")),
            (b"\xef\xbb\xbfa: b", Ok("a: b")),
            (b"\xef\xbb\xbf", Ok("")),
            (b"\xff\xfea\0", Err(NotText::Utf16)),
            (b"\xfe\xff\0a", Err(NotText::Utf16)),
            (b"ab\xff", Err(NotText::Other(2))),
        ] {
            assert_eq!(read(bytes), expected);
        }
    }

    #[test]
    fn a_foreign_text_is_cut_and_obeyed_by_nothing() {
        for (text, expected) in [
            ("", ""),
            ("four", "four"),
            ("fives", "five... (5 bytes)"),
            ("\x1b[2J", "\u{fffd}[2J"),
            ("a\nb\u{9b}", "a\u{fffd}b\u{fffd}"),
            ("äöü€", "äöü€"),
            ("äöü€\u{1f600}", "äöü€... (13 bytes)"),
        ] {
            assert_eq!(shown(text, 4), expected);
        }
    }

    #[test]
    fn says_where_yaml_fails_and_names_no_option_of_a_library() {
        for (text, expected) in [
            ("a: 1\nb: 2\na: 3\n", "line 13, column 1: the key `a` is there twice; remove one"),
            ("x:\n- name: 1\n  name: 2\n", "line 13, column 3: the key `name` is there twice; remove one"),
            ("{\"a\": 1,\n \"a\": 2}", "line 12, column 2: the key `a` is there twice; remove one"),
            ("a: [1\nb: 2\n", "line 1"),
            ("a:\n\tb: 1\n", "line 1"),
        ] {
            let error = serde_saphyr::from_str::<serde_json::Value>(text).unwrap_err();
            let problem = yaml_problem(&error, 10);
            assert!(
                problem.starts_with(expected) && !problem.contains('\n') && !problem.contains("Options"),
                "{problem}"
            );
        }
    }
}
