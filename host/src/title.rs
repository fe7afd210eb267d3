//! How objects are named to people.

use std::fmt::Display;

/// `namespace/name`, as messages, metrics and commands have it.
pub(crate) fn title(namespace: impl Display, name: impl Display) -> String {
    format!("{namespace}/{name}")
}
