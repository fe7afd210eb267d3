//! Why shared state could not be read or written.

/// Nothing is lost: what was there stays.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be used.
    #[error("state file {path}: {detail}; give --state a path in a directory that this process can write")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        detail: String,
    },
    /// The content is not what this release writes.
    #[error("{place}: {detail}; restore it, or delete it to begin anew with the configured module")]
    Malformed {
        /// Where it lies.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The API server does not let us.
    #[error(
        "ConfigMap {name}: forbidden: {detail}; grant get, list, watch, create and update on it by a Role, or give --state none"
    )]
    Forbidden {
        /// `namespace/name`.
        name: String,
        /// What the API server said.
        detail: String,
    },
    /// The API server does not answer.
    #[error("ConfigMap {name}: {detail}")]
    Unavailable {
        /// `namespace/name`.
        name: String,
        /// What went wrong.
        detail: String,
    },
    /// Someone else wrote at the same time.
    #[error("the state was changed by another process again and again; try once more")]
    Contended,
}

impl StateError {
    /// Whether the same may work later: a right may be granted, a server may come back.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Forbidden { .. } | Self::Contended)
    }
}
