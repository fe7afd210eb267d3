//! All parts of a process that its observers read, when somebody asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::words::moment;
use crate::clock;
use crate::controller::{EntryReport, Handle, Pending};
use crate::guard::Holds;
use crate::istio::ServiceEntry;
use crate::policy::PolicyReports;
use crate::registry::{PollFigures, PollStats, ServiceKey, Trouble};
use crate::rollout::{ActiveModules, SharedState};
use crate::telemetry::Condition;
use crate::writes::{BlockReason, Gate};

/// How long an entry waits before the status says what for: a few polls, since every new entry begins like that.
const PENDING_SHOWN: Duration = Duration::from_secs(10);

/// The parts that are read.
#[derive(Clone)]
pub struct View {
    pub controller: Handle,
    /// Questions to the registry.
    pub stats: Arc<PollStats>,
    /// After how long without an answer the registry counts as silent; `None` if answers come only when something changes.
    pub silent_after: Option<Duration>,
    /// Endpoints that the guard holds.
    pub holds: Arc<Holds>,
    /// The gate that blocks writes.
    pub gate: Arc<Gate>,
    /// Whether this process leads.
    pub leads: watch::Receiver<bool>,
    /// The leader, if that is found by election; with this process's name.
    pub election: Option<(watch::Receiver<String>, String)>,
    /// A pause, and the modules.
    pub state: watch::Receiver<Arc<SharedState>>,
    /// The modules in use.
    pub modules: Arc<ActiveModules>,
    /// What became of policies; `None` if there are none.
    pub policies: Option<Arc<PolicyReports>>,
}

/// An entry with its service, and the report of its last reconciliation.
pub(super) type Reported = (Arc<ServiceEntry>, Option<ServiceKey>, Arc<EntryReport>);

impl View {
    /// All entries, each with what time alone makes wrong with it: that changes without a reconciliation.
    pub(super) fn entries(&self) -> Vec<Reported> {
        let mut entries = self.controller.reports();
        let leads = *self.leads.borrow();
        for (_, service, report) in &mut entries {
            // The leader says what is held; this process may have held it in a term that is over.
            if !leads && report.problems.contains_key(&Condition::Held) {
                Arc::make_mut(report).problems.remove(&Condition::Held);
            }
            let trouble = service.as_ref().and_then(|service| Some((service, self.controller.trouble(service)?)));
            if let Some((service, Trouble { error, since })) = trouble {
                let text = format!("no sound answer for service {service} since {}: {error}", moment(since.into_std()));
                Arc::make_mut(report).problems.insert(Condition::Registry, text);
            } else if let Some(text) = report.pending.as_ref().and_then(|pending| overdue(pending, Instant::now())) {
                Arc::make_mut(report).problems.insert(Condition::Pending, text);
            }
        }
        entries
    }

    /// The reasons for which nothing is written.
    pub(super) fn blocked(&self) -> BTreeSet<BlockReason> {
        self.gate.reasons(clock::now())
    }

    /// Whether the registry answers: a service that is sick alone does not count.
    pub(super) fn answering(&self, counts: &PollFigures) -> bool {
        let last = counts.answered.values().max();
        counts.halted.is_none()
            && match self.silent_after {
                Some(limit) => last.is_some_and(|at| at.elapsed() < limit),
                None => last.is_some(),
            }
    }

    /// Why this process is not ready to take over, or to go on; empty if it is. A standby can be ready.
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.controller.synced() {
            reasons.push("the entries are not all known yet".into());
        }
        let counts = self.stats.figures();
        // Without an entry that names a service, nothing is asked.
        let asks = self.controller.reports().iter().any(|(_, service, _)| service.is_some());
        if asks && !self.answering(&counts) {
            reasons.push(match counts.halted {
                Some((_, trouble)) => format!("the registry does not answer: {trouble}"),
                None => "the registry does not answer".into(),
            });
        }
        reasons
    }
}

/// The reason for which an entry waits, once that takes longer than a few polls.
fn overdue(pending: &Pending, now: Instant) -> Option<String> {
    let Pending { since, reason } = pending;
    (now.saturating_duration_since(*since) > PENDING_SHOWN).then(|| format!("waits since {}: {reason}", moment(*since)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::PendingReason;

    #[test]
    fn an_entry_that_waits_for_long_says_what_for() {
        let since = Instant::now();
        for (reason, words) in [
            (PendingReason::Answer, "the registry has given no answer"),
            (PendingReason::Turn, "--swap-rate"),
            (PendingReason::Write, "--write-rate"),
        ] {
            let pending = Pending { since, reason };
            assert_eq!(overdue(&pending, since + PENDING_SHOWN), None);
            let text = overdue(&pending, since + PENDING_SHOWN * 2).unwrap();
            assert!(text.starts_with("waits since 2") && text.contains(words), "{text}");
        }
    }
}
