//! Tells every writer of this process whether it may write now.
//!
//! Only writes stop at a blocked gate: answers are followed and converted as ever, so that the first write after it opens
//! is up to date. Several reasons may apply at once; the gate is open when none does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tokio::sync::watch;

use crate::clock;

/// The reasons why nothing may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockReason {
    /// The process only shows its writes.
    DryRun,
    /// The operator paused all writes.
    Paused,
    Standby,
    /// The configured module cannot be had.
    ModuleMissing,
}

/// A gate that writers ask just before each request. Share it in an `Arc`.
#[derive(Debug)]
pub struct Gate {
    state: watch::Sender<State>,
}

/// The reasons that block the gate.
#[derive(Clone, Debug, Default)]
struct State {
    blocked: BTreeSet<BlockReason>,
    /// Reasons that come back by themselves, and when.
    lapses: BTreeMap<BlockReason, Instant>,
}

/// Writes are blocked; with all reasons, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("nothing is written: {}", .0.iter().map(|reason| reason.words()).collect::<Vec<_>>().join("; "))]
pub struct WritesBlocked(pub BTreeSet<BlockReason>);

/// Tells when the gate opens.
#[derive(Debug)]
pub struct Reopened {
    state: watch::Receiver<State>,
}

impl Default for Gate {
    /// An open gate.
    fn default() -> Self {
        Self { state: watch::Sender::new(State::default()) }
    }
}

impl Gate {
    /// Checks whether a write may go at `now`. To be called when nothing else stands between the writer and its request:
    /// after every wait.
    ///
    /// # Errors
    /// All reasons that apply.
    pub fn check(&self, now: Instant) -> Result<(), WritesBlocked> {
        let reasons = self.state.borrow().reasons(now);
        if reasons.is_empty() { Ok(()) } else { Err(WritesBlocked(reasons)) }
    }

    /// The time at which a reason comes back by itself, if one does: no request may last longer.
    pub fn until(&self) -> Option<Instant> {
        self.state.borrow().lapses.values().min().copied()
    }

    /// All reasons that apply at `now`.
    pub fn reasons(&self, now: Instant) -> BTreeSet<BlockReason> {
        self.state.borrow().reasons(now)
    }

    /// Blocks writes for a reason, until [`Self::unblock`] or [`Self::unblock_until`].
    pub fn block(&self, reason: BlockReason) {
        self.change(clock::now(), |state| {
            state.blocked.insert(reason);
            state.lapses.remove(&reason);
        });
    }

    pub fn unblock(&self, reason: BlockReason) {
        self.change(clock::now(), |state| {
            state.blocked.remove(&reason);
            state.lapses.remove(&reason);
        });
    }

    /// Ends a reason for now: it applies again from `until` on, unless this is called again before. For a lease: a process
    /// that was frozen beyond its end must not write when it wakes, even before the elector has noticed.
    pub fn unblock_until(&self, reason: BlockReason, until: Instant) {
        self.change(clock::now(), |state| {
            state.blocked.remove(&reason);
            state.lapses.insert(reason, until);
        });
    }

    /// Tells of every opening from now on, so that all entries that were not written are reconciled again.
    pub fn reopened(&self) -> Reopened {
        Reopened { state: self.state.subscribe() }
    }

    fn change(&self, now: Instant, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            let before = state.reasons(now);
            change(state);
            state.reasons(now) != before
        });
    }
}

impl Reopened {
    /// Waits until the gate opens; for ever if it is gone.
    pub async fn next(&mut self) {
        while self.state.changed().await.is_ok() {
            if self.state.borrow_and_update().reasons(clock::now()).is_empty() {
                return;
            }
        }
        std::future::pending().await
    }
}

impl State {
    fn reasons(&self, now: Instant) -> BTreeSet<BlockReason> {
        let lapsed = self.lapses.iter().filter(|(_, until)| **until <= now).map(|(reason, _)| *reason);
        self.blocked.iter().copied().chain(lapsed).collect()
    }
}

impl BlockReason {
    /// The reason in words for the operator.
    pub fn words(self) -> &'static str {
        match self {
            Self::DryRun => "this is a dry run",
            Self::Paused => "writes are paused, `polaris2istio resume` lets them go on",
            Self::Standby => "another replica writes",
            Self::ModuleMissing => "the configured module cannot be had",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    #[track_caller]
    fn check(gate: &Gate, now: Instant, reasons: &[BlockReason]) {
        let found = gate.check(now).err().map(|blocked| blocked.0).unwrap_or_default();
        assert_eq!(found, reasons.iter().copied().collect());
    }

    #[test]
    fn is_open_when_no_reason_holds() {
        let (gate, now) = (Gate::default(), Instant::now());
        check(&gate, now, &[]);
        gate.block(BlockReason::Paused);
        gate.block(BlockReason::Standby);
        gate.block(BlockReason::Standby);
        check(&gate, now, &[BlockReason::Paused, BlockReason::Standby]);
        gate.unblock(BlockReason::Standby);
        check(&gate, now, &[BlockReason::Paused]);
        gate.unblock(BlockReason::Paused);
        gate.unblock(BlockReason::DryRun);
        check(&gate, now, &[]);
    }

    #[test]
    fn a_lease_lapses_by_itself() {
        let (gate, now) = (Gate::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        gate.block(BlockReason::Standby);
        gate.unblock_until(BlockReason::Standby, after(15));
        check(&gate, after(14), &[]);
        check(&gate, after(15), &[BlockReason::Standby]);
        gate.unblock_until(BlockReason::Standby, after(30));
        check(&gate, after(29), &[]);
        gate.block(BlockReason::Standby);
        check(&gate, now, &[BlockReason::Standby]);
    }

    #[test]
    fn tells_when_it_opens_and_only_then() {
        let gate = Gate::default();
        let mut reopened = gate.reopened();
        let mut opened = || reopened.next().now_or_never().is_some();
        let far = Instant::now() + Duration::from_secs(1000);
        assert!(!opened(), "it was open");
        gate.block(BlockReason::Paused);
        gate.block(BlockReason::Standby);
        gate.unblock(BlockReason::Paused);
        assert!(!opened(), "a reason is left");
        gate.unblock_until(BlockReason::Standby, far);
        assert!(opened());
        gate.unblock_until(BlockReason::Standby, far);
        gate.unblock(BlockReason::Paused);
        assert!(!opened(), "a lease that is renewed opens nothing");
        // One that lapsed unnoticed and was acquired again does.
        gate.unblock_until(BlockReason::Standby, Instant::now());
        let _ = opened();
        gate.unblock_until(BlockReason::Standby, far);
        assert!(opened());
    }

    #[test]
    fn names_all_reasons() {
        let gate = Gate::default();
        gate.block(BlockReason::DryRun);
        gate.block(BlockReason::Standby);
        let text = gate.check(Instant::now()).map_err(|blocked| blocked.to_string());
        assert_eq!(text, Err("nothing is written: this is a dry run; another replica writes".into()));
    }
}
