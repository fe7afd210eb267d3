//! How a reconciliation ended, from good to bad.

/// How a reconciliation of an entry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncStatus {
    /// It holds what it should.
    Synced,
    /// It would be written, and the operator has to let writes go on.
    Paused,
    /// Endpoints are held that would have disappeared.
    Held,
    /// It could not be served; the log says why.
    Failed,
}
