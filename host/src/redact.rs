//! Texts of others, and what the command line repeats of what it was given, without the passwords that they may hold.

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error};

/// Stands for a value that is not repeated.
pub(crate) const NOT_SHOWN: &str = "(not shown)";

/// Flags whose values may be secrets in any form.
const SECRET: [&str; 2] = ["--module-param", "--polaris-token"];

/// Takes user and password out of every address, as in `http://user:password@proxy:3128`.
pub(crate) fn addresses(text: &str) -> String {
    let mut parts = text.split("://");
    let mut redacted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        redacted.push_str("://");
        let end = part.find(|c: char| c.is_whitespace() || "\"'`<>()".contains(c)).unwrap_or(part.len());
        let (address, rest) = part.split_at(end);
        match address.rsplit_once('@') {
            Some((_, host)) => redacted.extend(["...@", host]),
            None => redacted.push_str(address),
        }
        redacted.push_str(rest);
    }
    redacted
}

/// `--help` names variables, not their values.
pub(crate) fn help(command: Command) -> Command {
    command.mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(help)
}

/// Takes out of an error what may hold a user and password, as in `oci://user:password@registry/...`.
pub(crate) fn usage_error(mut error: Error) -> Error {
    let named = |text: &str| SECRET.iter().any(|flag| text.contains(flag));
    let secret = matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(flag)) if named(flag));
    let concerned = |kind, value: &ContextValue| match value {
        ContextValue::String(text) => {
            text.contains('@') || (secret && kind == ContextKind::InvalidValue && !text.is_empty())
        }
        ContextValue::Strings(texts) => texts.iter().any(|text| text.contains('@')),
        ContextValue::StyledStr(text) => text.to_string().contains('@'),
        ContextValue::StyledStrs(texts) => texts.iter().any(|text| text.to_string().contains('@')),
        _ => false,
    };
    let kinds: Vec<ContextKind> =
        error.context().filter(|(kind, value)| concerned(*kind, value)).map(|(kind, _)| kind).collect();
    for kind in kinds {
        let value = match error.get(kind) {
            Some(ContextValue::String(_)) => ContextValue::String(NOT_SHOWN.to_owned()),
            _ => ContextValue::None,
        };
        error.insert(kind, value);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn passwords_go_and_all_else_stays() {
        for (text, expected) in [
            ("no address @ all", "no address @ all"),
            ("at http://host:1/a?b=c, it fails", "at http://host:1/a?b=c, it fails"),
            ("proxy \"http://u:secret@host:1/\" and http://u@b", "proxy \"http://...@host:1/\" and http://...@b"),
            ("(socks5://u:s@cret@host)://x", "(socks5://...@host)://x"),
            ("://", "://"),
        ] {
            assert_eq!(addresses(text), expected);
        }
    }
}
