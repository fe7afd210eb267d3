//! The difference of two texts by lines, much as `diff -u` shows it.

use std::time::Duration;

use similar::TextDiff;

/// Equal lines shown around a difference.
const AROUND: usize = 3;
/// Then the difference may be longer than it needs to be: large texts with nothing in common take for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// The lines of both texts, those of the first alone with `-`, those of the second alone with `+`.
pub(super) fn line_diff(before: &str, after: &str) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    let mut text = String::new();
    let mut shown = 0;
    for group in diff.grouped_ops(AROUND) {
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            if change.old_index().is_some_and(|line| line > shown) {
                text.push_str("  …\n");
            }
            shown = change.old_index().map_or(shown, |line| line + 1);
            text.push_str(&format!("{} {}\n", change.tag(), change.value().trim_end_matches('\n')));
        }
    }
    if shown < diff.old_len() {
        text.push_str("  …\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_differs_and_a_little_around() {
        assert_eq!(line_diff("a\nb\nc\n", "a\nB\nc\nd\n"), "  a\n- b\n+ B\n  c\n+ d\n");
        assert_eq!(line_diff("1\n2\n3\n4\n5\nx\n", "1\n2\n3\n4\n5\n"), "  …\n  3\n  4\n  5\n- x\n");
        assert_eq!(line_diff("x\n1\n2\n3\n4\n", "1\n2\n3\n4\n"), "- x\n  1\n  2\n  3\n  …\n");
        assert_eq!(line_diff("", "a\n"), "+ a\n");
        assert_eq!(line_diff("a\n", ""), "- a\n");
    }
}
