//! All of a process that its observers read, when somebody asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::status::moment;
use crate::controller::{EntryReport, Handle};
use crate::guard::Holds;
use crate::istio::ServiceEntry;
use crate::registry::{PollFigures, PollStats, ServiceKey, Trouble};
use crate::rollout::{ActiveModules, SharedState};
use crate::telemetry::Condition;
use crate::writes::{BlockReason, Gate};

/// The parts that are read.
#[derive(Clone)]
pub struct View {
    /// Entries and services.
    pub controller: Handle,
    /// Questions to the registry.
    pub stats: Arc<PollStats>,
    /// After how long without an answer the registry counts as silent; none where answers come only when something changes.
    pub silent_after: Option<Duration>,
    /// What the guard holds.
    pub holds: Arc<Holds>,
    /// What keeps writes back.
    pub gate: Arc<Gate>,
    /// Whether this process leads.
    pub leads: watch::Receiver<bool>,
    /// Who leads, where that is found by election; with this process's name.
    pub election: Option<(watch::Receiver<String>, String)>,
    /// A pause, and the modules.
    pub state: watch::Receiver<Arc<SharedState>>,
    /// The modules in use.
    pub modules: Arc<ActiveModules>,
}

/// An entry with its service, and what the last look left.
pub(super) type Reported = (Arc<ServiceEntry>, Option<ServiceKey>, Arc<EntryReport>);

impl View {
    /// All entries, each with the trouble of its service among its problems: that changes without a look at the entry.
    pub(super) fn entries(&self) -> Vec<Reported> {
        let mut entries = self.controller.reports();
        for (_, service, report) in &mut entries {
            if let Some(service) = service
                && let Some(trouble) = self.controller.trouble(service)
            {
                let Trouble { error, since } = trouble;
                let since = moment(since.into_std());
                let words = format!("no sound answer for service {service} since {since}: {error}");
                Arc::make_mut(report).problems.insert(Condition::Registry, words);
            }
        }
        entries
    }

    pub(super) fn shut(&self) -> BTreeSet<BlockReason> {
        self.gate.reasons(Instant::now())
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

    /// Why this process is not ready to take over, or to go on; empty where it is. A standby can be ready.
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
