//! Why an entry is not written: all writes are blocked, or its own.

use std::fmt;

use super::sync_status::SyncStatus;
use crate::annotation::PAUSED;
use crate::istio::ServiceEntry;
use crate::writes::{BlockReason, WritesBlocked};

/// Where the writes of an entry are blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// At the gate, for all entries.
    Gate(WritesBlocked),
    /// By the entry's own annotation.
    Entry,
}

impl Blocked {
    /// Another replica writes, decides what is held, and says so.
    pub(super) fn is_standby(&self) -> bool {
        self.has(BlockReason::Standby)
    }

    /// The operator blocked them, and has to let them go on.
    pub(super) fn is_pause(&self) -> bool {
        *self == Self::Entry || self.has(BlockReason::Paused)
    }

    /// The operator wants to see what would be written, and so whether it would be accepted.
    pub(super) fn is_rehearsal(&self) -> bool {
        !self.is_standby() && (*self == Self::Entry || self.has(BlockReason::DryRun))
    }

    /// How a reconciliation ends at an entry that would be written. A dry run and a standby are done with it: the one has
    /// shown it, and the other leaves it to the leader.
    pub(super) fn status(&self) -> SyncStatus {
        let harmless = |reason: &BlockReason| matches!(reason, BlockReason::DryRun | BlockReason::Standby);
        match self {
            Self::Gate(blocked) if blocked.0.iter().all(harmless) => SyncStatus::Synced,
            _ => SyncStatus::Paused,
        }
    }

    fn has(&self, reason: BlockReason) -> bool {
        matches!(self, Self::Gate(blocked) if blocked.0.contains(&reason))
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(blocked) => blocked.fmt(f),
            Self::Entry => write!(f, "nothing is written: the entry's annotation {PAUSED} says so"),
        }
    }
}

/// Whether the entry's own annotation pauses its writes. A value that is neither yes nor no pauses them too, and is the error.
pub fn paused(entry: &ServiceEntry) -> Result<bool, String> {
    match entry.annotation(PAUSED) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(text) => {
            Err(format!("annotation {PAUSED}: `{text}` is neither `true` nor `false`; nothing is written until it is"))
        }
    }
}
