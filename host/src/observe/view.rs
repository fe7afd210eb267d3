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
use crate::registry::{PollFigures, PollStats, ServiceKey, Trouble, encode_answer};
use crate::rollout::{ActiveModules, SharedState};
use crate::telemetry::{Condition, History, HistoryEvent};
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
    /// The policies' reports; `None` if there are none.
    pub policies: Option<Arc<PolicyReports>>,
    /// The last changes.
    pub history: Arc<History>,
}

/// An entry with its service, and the report of its last reconciliation.
pub(super) type Reported = (Arc<ServiceEntry>, Option<ServiceKey>, Arc<EntryReport>);

impl View {
    /// All entries, each with what time alone makes wrong with it: that changes without a reconciliation.
    pub(super) fn entries(&self) -> Vec<Reported> {
        let mut entries = self.controller.reports();
        let leads = *self.leads.borrow();
        entries.iter_mut().for_each(|reported| self.complete(reported, leads));
        entries
    }

    /// One entry, given as `namespace/name`.
    pub(super) fn entry(&self, name: &str) -> Option<Reported> {
        let mut reported = self.controller.report(name)?;
        self.complete(&mut reported, *self.leads.borrow());
        Some(reported)
    }

    fn complete(&self, (_, service, report): &mut Reported, leads: bool) {
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

    /// The active module: name, version and digest.
    pub(super) fn module(&self) -> String {
        let active = self.modules.active();
        format!("{} {} {}", active.info().name, active.info().version, active.identity().module)
    }

    /// The error for an entry that is not there, with the one that was meant.
    pub(crate) fn no_such_entry(&self, name: &str) -> String {
        let names: Vec<_> = self.controller.reports().iter().map(|(entry, ..)| entry.title()).collect();
        format!(
            "entry {name}: not among the {} that are served{}; `status` lists them, and an entry needs the labels \
             `manager: aeraki` and `registry: polaris`",
            names.len(),
            suggestion(name, &names)
        )
    }

    /// The last changes of an entry, given as `namespace/name`, the newest first.
    ///
    /// # Errors
    ///
    /// There is no such entry, and there was none.
    pub fn history_of(&self, name: &str) -> Result<Vec<HistoryEvent>, String> {
        let history = self.history.of(name);
        let known = !history.is_empty() || self.controller.report(name).is_some();
        if known { Ok(history) } else { Err(self.no_such_entry(name)) }
    }

    /// The registry's last answer for a service, given as `namespace/name`, as its HTTP API has it.
    ///
    /// # Errors
    ///
    /// No entry names it, or there was no answer yet.
    pub fn answer(&self, name: &str) -> Result<serde_json::Value, String> {
        let (namespace, service) = name.split_once('/').unwrap_or_default();
        let key = ServiceKey { namespace: namespace.into(), name: service.into() };
        let Some(state) = self.controller.heard(&key) else {
            let reports = self.controller.reports();
            let services: BTreeSet<_> = reports.iter().filter_map(|(_, service, _)| service.as_ref()).collect();
            let services: Vec<_> = services.iter().map(ToString::to_string).collect();
            return Err(format!(
                "service {name}: no entry names it, so it is not asked for{}; write it as NAMESPACE/SERVICE",
                suggestion(name, &services)
            ));
        };
        match state.last {
            Some(last) => Ok(encode_answer(&key, &last.content)),
            None => Err(format!("service {name}: the registry has given no answer for it yet")),
        }
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

/// The name that was probably meant, as a part of a sentence; empty if none is like it.
fn suggestion(name: &str, names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match similar::get_close_matches(name, &names, 1, 0.7).first() {
        Some(meant) => format!("; did you mean {meant}?"),
        None => String::new(),
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
