//! The difference of two texts by lines, as `diff -u` shows it.

/// Equal lines shown around a difference.
const AROUND: usize = 3;
/// Beyond this many pairs of lines, what differs is shown as a whole: the table would take more memory than it is worth.
const LARGEST: usize = 4 << 20;

/// The lines of both texts, those of the first alone with `-`, those of the second alone with `+`.
pub(super) fn line_diff(before: &str, after: &str) -> String {
    let lines = compare(&before.lines().collect::<Vec<_>>(), &after.lines().collect::<Vec<_>>());
    let near = |at: usize| {
        let around = lines.iter().enumerate().skip(at.saturating_sub(AROUND)).take(2 * AROUND + 1);
        around.into_iter().any(|(other, (mark, _))| *mark != ' ' && other.abs_diff(at) <= AROUND)
    };
    let (mut text, mut skipping) = (String::new(), false);
    for (at, (mark, line)) in lines.iter().enumerate() {
        if near(at) {
            text.push_str(&format!("{mark} {line}\n"));
        } else if !skipping {
            text.push_str("  …\n");
        }
        skipping = !near(at);
    }
    text
}

fn compare<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<(char, &'a str)> {
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (rest_before, rest_after) = (&before[head..], &after[head..]);
    let tail = rest_before.iter().rev().zip(rest_after.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&rest_before[..rest_before.len() - tail], &rest_after[..rest_after.len() - tail]);
    let mut lines: Vec<_> = before[..head].iter().map(|line| (' ', *line)).collect();
    if old.len().saturating_mul(new.len()) > LARGEST {
        lines.extend(old.iter().map(|line| ('-', *line)));
        lines.extend(new.iter().map(|line| ('+', *line)));
    } else {
        middle(old, new, &mut lines);
    }
    lines.extend(rest_before[rest_before.len() - tail..].iter().map(|line| (' ', *line)));
    lines
}

/// By the longest common subsequence.
fn middle<'a>(old: &[&'a str], new: &[&'a str], lines: &mut Vec<(char, &'a str)>) {
    let width = new.len() + 1;
    // The length that two tails have in common.
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let longest = common[(i + 1) * width + j].max(common[i * width + j + 1]);
            common[i * width + j] = if a == b { common[(i + 1) * width + j + 1] + 1 } else { longest };
        }
    }
    let (mut i, mut j) = (0, 0);
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                lines.push((' ', a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), found) if found.is_none() || common[(i + 1) * width + j] >= common[i * width + j + 1] => {
                lines.push(('-', a));
                i += 1;
            }
            (_, Some(b)) => {
                lines.push(('+', b));
                j += 1;
            }
            (_, None) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_differs_and_a_little_around() {
        assert_eq!(line_diff("a\nb\nc\n", "a\nB\nc\nd\n"), "  a\n- b\n+ B\n  c\n+ d\n");
        assert_eq!(line_diff("1\n2\n3\n4\n5\nx\n", "1\n2\n3\n4\n5\n"), "  …\n  3\n  4\n  5\n- x\n");
        assert_eq!(line_diff("", "a\n"), "+ a\n");
        assert_eq!(line_diff("a\n", ""), "- a\n");
    }
}
