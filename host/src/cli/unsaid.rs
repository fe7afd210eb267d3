//! What the command line repeats of what it was given: nothing that may hold a password.

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error};

/// Stands for what is not repeated.
const UNSAID: &str = "(not shown)";

/// Flags whose values may be secrets in any form.
const SECRET: [&str; 2] = ["--module-param", "--polaris-token"];

/// `--help` names variables, not what they are set to.
pub(super) fn without_values(command: Command) -> Command {
    command.mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(without_values)
}

/// Takes out of an error what may hold a user and password, as in `oci://user:password@registry/...`.
pub(super) fn without_secrets(mut error: Error) -> Error {
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
            Some(ContextValue::String(_)) => ContextValue::String(UNSAID.to_owned()),
            _ => ContextValue::None,
        };
        error.insert(kind, value);
    }
    error
}
