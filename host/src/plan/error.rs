//! The reasons why an apply was not performed; they decide whether and when it is tried again.

/// The errors of a sink.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The entry changed since it was read; it is reconciled again.
    #[error("the entry changed meanwhile")]
    Stale,
    /// The entry was deleted, or deleted and created anew.
    #[error("the entry is gone")]
    Gone,
    /// The content was refused for good: the same would be refused again.
    #[error(
        "refused for good: {detail}; it is tried again when the entry or the service changes, and every half minute"
    )]
    Refused { detail: String },
    /// This identity may not write.
    #[error("forbidden: {detail}; {remedy}")]
    Forbidden {
        detail: String,
        /// The rights to grant.
        remedy: String,
    },
    /// The server is out of reach or ill.
    #[error("not available: {detail}; retrying")]
    Unavailable {
        /// The cause, in words.
        detail: String,
    },
}
