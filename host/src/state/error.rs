//! The reasons why shared state cannot be read or written.

/// An error of the store. Nothing is lost: the document stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be used.
    #[error("state file {path}: {detail}; give --state a path in a directory that this process can write")]
    File { path: String, detail: String },
    /// This release does not write such content.
    #[error(
        "{place}: {detail}; restore it, or delete it: a replica that has read it writes it again, and where there is none all begins anew \
         with the configured module"
    )]
    Malformed {
        /// The place of the document.
        place: String,
        detail: String,
    },
    /// The API server denies access.
    #[error(
        "ConfigMap {name}: forbidden: {detail}; grant get, list, watch, create and update on it by a Role, or give --state none"
    )]
    Forbidden {
        /// `namespace/name`.
        name: String,
        /// The API server's message.
        detail: String,
    },
    /// The API server does not answer.
    #[error("ConfigMap {name}: {detail}")]
    Unavailable {
        /// `namespace/name`.
        name: String,
        detail: String,
    },
    /// Another process wrote at the same time.
    #[error("the state was changed by another process again and again; try once more")]
    Contended,
}

impl StateError {
    /// Whether the same may work later: a right may be granted, a server may come back.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Forbidden { .. } | Self::Contended)
    }

    /// Whether the document is none of this release's: someone has to mend it.
    pub(super) fn is_malformed(&self) -> bool {
        matches!(self, Self::Malformed { .. })
    }
}
