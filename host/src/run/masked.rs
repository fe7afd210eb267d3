//! Texts of others, without the passwords that addresses in them may hold.

/// Takes user and password out of every address, as in `http://user:password@proxy:3128`.
pub(super) fn masked(text: &str) -> String {
    let mut parts = text.split("://");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked.push_str("://");
        let end = part.find(|c: char| c.is_whitespace() || "\"'`<>()".contains(c)).unwrap_or(part.len());
        let (address, rest) = part.split_at(end);
        match address.rsplit_once('@') {
            Some((_, host)) => masked.extend(["...@", host]),
            None => masked.push_str(address),
        }
        masked.push_str(rest);
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn passwords_go_and_all_else_stays() {
        for (text, expected) in [
            ("no address @ all", "no address @ all"),
            ("at http://host:1/a?b=c, it fails", "at http://host:1/a?b=c, it fails"),
            ("proxy \"http://u:secret@host:1/\" and http://u@b", "proxy \"http://...@host:1/\" and http://...@b"),
            ("(socks5://u:s@cret@host)://x", "(socks5://...@host)://x"),
            ("://", "://"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }
}
