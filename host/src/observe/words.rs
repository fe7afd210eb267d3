//! The words of states, reasons and moments, which metrics and the status share.

use std::time::Instant;

use jiff::{Timestamp, Unit};

use crate::clock;
use crate::controller::SyncStatus;
use crate::writes::BlockReason;

/// The states of an entry, each a series from the start.
pub(super) const STATES: [&str; 6] = ["synced", "paused", "held", "failed", "pending", "standby"];
/// The reasons for which nothing is written, each a series from the start.
pub(super) const BLOCK_REASONS: [(BlockReason, &str); 4] = [
    (BlockReason::DryRun, "dry-run"),
    (BlockReason::Paused, "paused"),
    (BlockReason::Standby, "standby"),
    (BlockReason::ModuleMissing, "module-missing"),
];

/// The word for how a reconciliation ended. A standby writes nothing and holds nothing, so it cannot say that an entry is
/// synced.
pub(super) fn state(status: Option<SyncStatus>, leads: bool) -> &'static str {
    match status {
        Some(SyncStatus::Synced | SyncStatus::Held) if !leads => "standby",
        Some(SyncStatus::Synced) => "synced",
        Some(SyncStatus::Paused) => "paused",
        Some(SyncStatus::Held) => "held",
        Some(SyncStatus::Failed) => "failed",
        None => "pending",
    }
}

/// The word for a reason for which nothing is written.
pub(super) fn block_reason(reason: BlockReason) -> &'static str {
    BLOCK_REASONS.iter().find(|(one, _)| *one == reason).map_or("other", |(_, word)| word)
}

/// A moment of this machine's clock that nobody sets, as one of the clock on the wall. To milliseconds, as people read it.
pub(super) fn moment(at: Instant) -> Timestamp {
    let moment = clock::wall(at);
    moment.round(Unit::Millisecond).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_claims_nothing_of_what_the_leader_does() {
        let rows = [
            (Some(SyncStatus::Synced), "synced", "standby"),
            (Some(SyncStatus::Held), "held", "standby"),
            (Some(SyncStatus::Failed), "failed", "failed"),
            (None, "pending", "pending"),
        ];
        for (status, leader, standby) in rows {
            assert_eq!((state(status, true), state(status, false)), (leader, standby));
            assert!(STATES.contains(&leader) && STATES.contains(&standby));
        }
    }
}
