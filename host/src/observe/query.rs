//! The query of a request: a few short values, and nothing else is read.

/// The longest query that is read.
const LONGEST: usize = 2_048;

/// The value of a key; empty if it is not there.
pub(super) fn value(query: &str, key: &str) -> String {
    if query.len() > LONGEST {
        return String::new();
    }
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == key).map(|(_, value)| decoded(value)).next().unwrap_or_default()
}

fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, first) {
            (Some(byte), _) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (None, b'+') => {
                bytes.push(b' ');
                rest = tail;
            }
            (None, _) => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_nothing_breaks_it() {
        for (query, expected) in [
            ("q=a%2Fb+c", "a/b c"),
            ("x=1&q=%C3%A9", "é"),
            ("q=%", "%"),
            ("q=%4", "%4"),
            ("q=%zz", "%zz"),
            ("q=%ff", "\u{fffd}"),
            ("q=1&q=2", "1"),
            ("p=1", ""),
            ("q", ""),
            ("", ""),
        ] {
            assert_eq!(value(query, "q"), expected, "{query}");
        }
        assert_eq!(value(&format!("q={}", "x".repeat(LONGEST)), "q"), "");
    }
}
