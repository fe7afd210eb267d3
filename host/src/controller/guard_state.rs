//! The guard of one entry, and what was told of its holds.

use crate::guard::{Guard, Kind};

/// The guard of one entry.
#[derive(Default)]
pub(super) struct GuardState {
    pub(super) guard: Guard,
    /// The holds that were told.
    pub(super) told: Vec<Kind>,
    /// Whether nothing was decided in this term that could be written.
    begins: bool,
    /// Whether writes were blocked at the last reconciliation.
    blocked: bool,
}

impl GuardState {
    /// Begins anew in a term of this process.
    pub(super) fn begin_term(&mut self) {
        self.guard.restart();
        self.told.clear();
        self.begins = true;
    }

    /// Whether this is the first decision of the term that can be written.
    pub(super) fn take_begin(&mut self) -> bool {
        std::mem::take(&mut self.begins)
    }

    /// Notes whether writes are blocked. Returns whether they were and are not any more.
    pub(super) fn note_blocked(&mut self, blocked: bool) -> bool {
        std::mem::replace(&mut self.blocked, blocked) && !blocked
    }
}
