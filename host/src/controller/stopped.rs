//! What is done in place of a write while writes are stopped, for all entries or for one: it is shown what would be
//! written, and the sink may be asked whether it would take it.

use std::fmt;
use std::time::Instant;

use kube::runtime::controller::Action;
use tracing::info;

use super::entry_state::SyncStatus;
use super::reconcile::Reconciliation;
use crate::annotation::PAUSED;
use crate::istio::ServiceEntry;
use crate::plan::{Apply, Desired};
use crate::telemetry::Condition;
use crate::writes::{BlockReason, WritesBlocked};

/// Who stopped the writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The gate, for all entries.
    Gate(WritesBlocked),
    /// The entry's own annotation.
    Entry,
}

impl Stopped {
    /// Another replica writes, decides what is held, and says so.
    pub(super) fn stands_by(&self) -> bool {
        matches!(self, Self::Gate(closed) if closed.0.contains(&BlockReason::Standby))
    }

    /// Whether a person stopped them, and has to let them go on.
    pub(super) fn is_pause(&self) -> bool {
        match self {
            Self::Gate(closed) => closed.0.contains(&BlockReason::Paused),
            Self::Entry => true,
        }
    }

    /// How a look ends at an entry that would be written. A dry run and a standby are done with it: the one has shown it, and
    /// the other leaves it to the leader.
    fn status(&self) -> SyncStatus {
        match self {
            Self::Gate(closed)
                if closed.0.iter().all(|reason| matches!(reason, BlockReason::DryRun | BlockReason::Standby)) =>
            {
                SyncStatus::Synced
            }
            _ => SyncStatus::Paused,
        }
    }

    /// Whether a person wants to see what would be written, and so whether it would be taken.
    fn is_rehearsal(&self) -> bool {
        !self.stands_by()
            && match self {
                Self::Gate(closed) => closed.0.contains(&BlockReason::DryRun),
                Self::Entry => true,
            }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(closed) => closed.fmt(f),
            Self::Entry => write!(f, "nothing is written: the entry's annotation {PAUSED} says so"),
        }
    }
}

/// Whether the entry's own annotation stops its writes; what it says where that is neither yes nor no, which stops them too.
pub fn paused(entry: &ServiceEntry) -> Result<bool, String> {
    match entry.annotation(PAUSED) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(text) => {
            Err(format!("annotation {PAUSED}: `{text}` is neither `true` nor `false`; nothing is written until it is"))
        }
    }
}

impl Reconciliation<'_> {
    /// Whether this entry may be written now.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        if let Err(closed) = self.context.gate.check(Instant::now()) {
            return Some(Stopped::Gate(closed));
        }
        (paused(self.live) != Ok(false)).then_some(Stopped::Entry)
    }

    /// Says once what is not written. When the gate opens, or the entry changes, it is looked at again.
    pub(super) async fn show(&mut self, stopped: &Stopped, apply: &Apply, desired: &Desired) -> Action {
        let change = &apply.change;
        if stopped.is_pause() {
            let words = format!(
                "a write waits: {} endpoints come, {} go, {} change; {stopped}",
                change.added, change.removed, change.changed
            );
            self.problem(Condition::Paused, words);
        }
        let news = self.tracked.says("stopped", format!("{stopped} {desired:?}"));
        if !news || stopped.stands_by() {
            // A standby's log would repeat the leader's.
            return self.end(stopped.status(), Action::await_change());
        }
        if stopped.is_rehearsal() {
            if let Some(rest) = self.tracked.refused(desired, self.live, Instant::now()) {
                return self.end(SyncStatus::Failed, Action::requeue(rest));
            }
            self.context.budget.take(false).await;
            let Ok(_writer) = self.context.writers.acquire().await else { return Action::await_change() };
            if let Err(error) = self.context.sink.rehearse(apply).await {
                // It is shown when it is found to be taken.
                self.tracked.over("stopped");
                return self.not_written(error, desired);
            }
        }
        info!(
            entry = self.title,
            added = change.added,
            removed = change.removed,
            changed = change.changed,
            fields = change.fields.join(","),
            "would be written; {stopped}"
        );
        self.end(stopped.status(), Action::await_change())
    }
}
