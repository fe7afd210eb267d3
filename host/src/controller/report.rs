//! The report of an entry after its last reconciliation, for the status and metrics.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use polaris2istio_core::model::{Outcome, Subject, Update, Verdict};

use super::sync_status::SyncStatus;
use crate::converter::Identity;
use crate::guard::Hold;
use crate::plan::Change;
use crate::telemetry::Condition;

/// The reason of instances for which the module gave none.
const UNEXPLAINED: &str = "unexplained";

/// Reasons that are told apart; the default rules have some twenty.
const REASONS: usize = 50;

/// One entry, after the last reconciliation.
#[derive(Clone, Debug, Default)]
pub struct EntryReport {
    /// How the reconciliation ended; `None` if none came to an end yet.
    pub status: Option<SyncStatus>,
    /// The reason for which the entry waits.
    pub pending: Option<Pending>,
    /// The module that gave the last outcome.
    pub by: Option<Arc<Identity>>,
    /// Instances that the registry lists; `None` if it says that there is no such service, or nothing yet.
    pub listed: Option<usize>,
    /// Of these, how many were left out, by the code of the reason.
    pub left_out: BTreeMap<String, usize>,
    /// Of these, how many are in an endpoint.
    pub(super) used: usize,
    /// When the answer came that the last reconciliation was about.
    pub answered: Option<tokio::time::Instant>,
    /// The last write of this process.
    pub written: Option<WriteReport>,
    /// Endpoints that are kept.
    pub holds: Vec<Hold>,
    /// All that is wrong.
    pub problems: BTreeMap<Condition, String>,
}

/// A write.
#[derive(Clone, Debug)]
pub struct WriteReport {
    /// When it was acknowledged.
    pub at: Instant,
    /// The difference that it made.
    pub change: Change,
}

/// That an entry waits, and what for.
#[derive(Clone, Debug)]
pub struct Pending {
    /// When it began.
    pub since: Instant,
    /// The reason.
    pub reason: PendingReason,
}

/// Something that an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingReason {
    /// The registry's first answer for the service.
    Answer,
    /// Its turn to be changed by another module.
    Turn,
    /// Its first write's turn among the writes of all entries.
    Write,
}

impl EntryReport {
    /// Notes the reason for which the entry waits. It waits since it was noted first.
    pub(super) fn wait_for(&mut self, reason: PendingReason) {
        if self.pending.as_ref().is_none_or(|pending| pending.reason != reason) {
            self.pending = Some(Pending { since: Instant::now(), reason });
        }
    }

    /// Notes that the entry does not wait for this any more.
    pub(super) fn end_wait_for(&mut self, reason: PendingReason) {
        self.pending.take_if(|pending| pending.reason == reason);
    }

    /// Notes which instances an outcome left out, and why.
    pub(super) fn note_outcome(&mut self, outcome: &Outcome) {
        match &outcome.verdict {
            Verdict::Update(update) => self.note_update(update, outcome),
            // It repeats no reasons; what the endpoints were made of is what it was.
            Verdict::Unchanged => {
                let unexplained = self.listed.unwrap_or_default().saturating_sub(self.used);
                if unexplained != self.left_out.values().sum::<usize>() {
                    self.left_out.clear();
                    self.note_unexplained(unexplained);
                }
            }
            Verdict::Rejected => self.left_out.clear(),
        }
    }

    fn note_update(&mut self, update: &Update, outcome: &Outcome) {
        self.left_out.clear();
        let used: HashSet<u32> = update.endpoints.iter().flat_map(|endpoint| &endpoint.instances).copied().collect();
        let mut explained = HashSet::new();
        for diagnostic in &outcome.diagnostics {
            if let Subject::Instance(position) = diagnostic.subject
                && !used.contains(&position)
                // The first reason counts.
                && explained.insert(position)
            {
                let is_known = self.left_out.len() < REASONS || self.left_out.contains_key(&diagnostic.code);
                let code = if is_known { diagnostic.code.clone() } else { UNEXPLAINED.into() };
                *self.left_out.entry(code).or_default() += 1;
            }
        }
        self.used = used.len();
        self.note_unexplained(self.listed.unwrap_or_default().saturating_sub(used.len() + explained.len()));
    }

    fn note_unexplained(&mut self, count: usize) {
        if count > 0 {
            *self.left_out.entry(UNEXPLAINED.into()).or_default() += count;
        }
    }
}

impl fmt::Display for PendingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer => "the registry has given no answer for the service yet",
            Self::Turn => "the change to another module comes to it in its turn, by `--swap-rate`",
            Self::Write => "its write waits for its turn among those of all entries, by `--write-rate`",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_waits_since_it_began_to() {
        let mut report = EntryReport::default();
        report.wait_for(PendingReason::Answer);
        let since = report.pending.as_ref().unwrap().since;
        report.wait_for(PendingReason::Answer);
        assert_eq!(report.pending.as_ref().map(|pending| pending.since), Some(since), "it goes on");
        report.end_wait_for(PendingReason::Turn);
        assert!(report.pending.is_some(), "it does not wait for that");
        report.wait_for(PendingReason::Write);
        report.end_wait_for(PendingReason::Answer);
        assert_eq!(report.pending.as_ref().map(|pending| pending.reason), Some(PendingReason::Write));
        report.end_wait_for(PendingReason::Write);
        assert!(report.pending.is_none());
    }
}
