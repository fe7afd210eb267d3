//! How verbs print what is for people and scripts alike.

use clap::ValueEnum;

use super::offline::Format;

/// Text, or data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

impl Output {
    /// The format of data; none for text.
    pub(super) fn data(self) -> Option<Format> {
        match self {
            Self::Text => None,
            Self::Yaml => Some(Format::Yaml),
            Self::Json => Some(Format::Json),
        }
    }
}
