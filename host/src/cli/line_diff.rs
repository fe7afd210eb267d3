//! The difference of two texts by lines, as `diff -u` shows it.

use std::time::Duration;

use similar::TextDiff;

/// Then the difference may be longer than it needs to be: large texts with nothing in common take for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// Both texts where they differ, lines of the first alone with `-`, those of the second alone with `+`.
pub(super) fn line_diff(before: &str, after: &str) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    diff.unified_diff().missing_newline_hint(false).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_differs_and_a_little_around() {
        for (before, after, expected) in [
            ("a\nb\nc\n", "a\nB\nc\nd\n", "@@ -1,3 +1,4 @@\n a\n-b\n+B\n c\n+d\n"),
            ("1\n2\n3\n4\n5\nx\n", "1\n2\n3\n4\n5\n", "@@ -3,4 +3,3 @@\n 3\n 4\n 5\n-x\n"),
            ("", "a\n", "@@ -0,0 +1 @@\n+a\n"),
            ("a\n", "a\n", ""),
        ] {
            assert_eq!(line_diff(before, after), expected);
        }
    }
}
