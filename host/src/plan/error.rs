//! Why an apply was not performed: what decides whether and when it is tried again.

/// What a sink says when it does not write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The entry changed since it was looked at; it is looked at again.
    #[error("the entry changed meanwhile")]
    Stale,
    /// The entry was deleted, or deleted and created anew.
    #[error("the entry is gone")]
    Gone,
    /// The content was refused for good: the same would be refused again.
    #[error(
        "refused for good: {detail}; it is tried again when the entry or the service changes, and every half minute"
    )]
    Refused {
        /// What the server said.
        detail: String,
    },
    /// This identity may not write.
    #[error("forbidden: {detail}; {remedy}")]
    Forbidden {
        /// What was said.
        detail: String,
        /// What to grant.
        remedy: String,
    },
    /// The server is out of reach or ill.
    #[error("not available: {detail}; retrying")]
    Unavailable {
        /// What happened.
        detail: String,
    },
}
