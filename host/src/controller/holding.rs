//! The guard's decision on one entry, and what is said of it.

use std::time::{Duration, Instant};

use polaris2istio_core::limits;
use tracing::{debug, info, warn};

use super::diagnostics;
use super::reconcile::Reconciliation;
use super::stopped::Stopped;
use crate::guard::{Decision, GuardInput, Hold, Kind, Origins};
use crate::plan::Desired;
use crate::registry::Content;
use crate::telemetry::Condition;

/// What the registry and the module say of an entry's service.
pub(super) struct Facts<'a> {
    pub(super) content: &'a Content,
    pub(super) origins: Origins,
    pub(super) answers: u64,
}

impl Reconciliation<'_> {
    /// Changes `desired` so that nothing disappears that is to be held, and tells of holds that begin and end.
    pub(super) fn guard(
        &mut self,
        desired: &mut Desired,
        service: &str,
        facts: Facts<'_>,
        stopped: Option<&Stopped>,
    ) -> Decision {
        let stands_by = stopped.is_some_and(Stopped::stands_by);
        let resumed = std::mem::replace(&mut self.tracked.stopped, stopped.is_some()) && stopped.is_none();
        if stands_by || resumed {
            // What would have been written was not, or someone else wrote: what the entry holds is what counts.
            self.tracked.guard.anew();
        }
        let (settings, _) = self.context.guard.of_entry(self.live);
        let now = Instant::now();
        let seen = GuardInput {
            live: self.live,
            service,
            content: facts.content,
            origins: facts.origins,
            answers: facts.answers,
            settings,
            addresses: &self.context.addresses,
            // What a person lets go counts when it can be written.
            release: if stopped.is_some() { None } else { self.context.holds.take_release(self.title) },
            promotions: self.context.holds.promotions(),
            writable: stopped.is_none(),
            now,
        };
        let decision = self.tracked.guard.decide(desired, &seen, self.context.holds.fleet());
        let shown: &[Hold] = if stands_by { &[] } else { &decision.holds };
        self.context.holds.note(self.title, shown);
        if stands_by {
            self.tracked.report.holds.clear();
        } else {
            diagnostics::log_alarm(self.context.holds.alarm_news());
            self.tell(&decision, now);
        }
        self.tracked.urgent |= decision.on_purpose > 0;
        decision
    }

    /// Lets go whatever is held: what the entry gets now is known to be good.
    pub(super) fn let_go(&mut self) -> Decision {
        self.tracked.guard.anew();
        let decision = Decision::default();
        self.context.holds.note(self.title, &decision.holds);
        diagnostics::log_alarm(self.context.holds.alarm_news());
        self.tell(&decision, Instant::now());
        decision
    }

    /// Says once that something is held, or let go.
    fn tell(&mut self, decision: &Decision, now: Instant) {
        if decision.misfits > 0 {
            warn!(
                entry = self.title,
                endpoints = decision.misfits,
                "held endpoints are let go: they do not fit the entry's ports, resolution or address rules any more"
            );
        }
        self.tell_owner(decision, now);
        let known = std::mem::take(&mut self.tracked.held);
        self.tracked.held = decision.holds.iter().map(|hold| hold.kind).collect();
        let begun = decision.holds.iter().filter(|hold| !known.contains(&hold.kind));
        let begun = begun.inspect(|hold| self.tell_begin(hold, now)).count();
        for kind in known.iter().filter(|kind| begun == 0 && !self.tracked.held.contains(kind)) {
            match kind {
                Kind::Fleet => debug!(entry = self.title, hold = kind.as_str(), "endpoints no longer held"),
                _ => info!(entry = self.title, hold = kind.as_str(), "endpoints no longer held"),
            }
        }
    }

    /// Keeps the holds for the status, and tells of them by Events, when they begin and end: their figures may change often.
    fn tell_owner(&mut self, decision: &Decision, now: Instant) {
        self.tracked.report.holds.clone_from(&decision.holds);
        let kinds: Vec<_> = decision.holds.iter().map(|hold| hold.kind).collect();
        if kinds.is_empty() {
            self.solved(Condition::Held);
        } else if kinds != self.tracked.held {
            let words = decision.holds.iter().map(|hold| format!("endpoints held {}: {}", end(hold, now), hold.reason));
            self.problem(Condition::Held, words.collect::<Vec<_>>().join("; "));
        }
    }

    fn tell_begin(&self, hold: &Hold, now: Instant) {
        let Hold { kind, reason, endpoints, .. } = hold;
        let end = end(hold, now);
        match kind {
            // The alarm has been told, once for all.
            Kind::Fleet => debug!(entry = self.title, endpoints, "endpoints held {end}: {reason}"),
            _ => warn!(entry = self.title, hold = kind.as_str(), endpoints, "endpoints held {end}: {reason}"),
        }
    }

    /// Whether new and held endpoints together are too many for an entry. Then the last ones stay.
    pub(super) fn too_many(&mut self, desired: &Desired) -> bool {
        let count = desired.endpoints.len();
        if count > limits::ENDPOINTS {
            let most = limits::ENDPOINTS;
            self.trouble::<()>(&format!(
                "with those that are held, it would have {count} endpoints, and a ServiceEntry holds {most}; release them or wait"
            ));
        }
        count > limits::ENDPOINTS
    }
}

/// How long a hold lasts, in words.
fn end(hold: &Hold, now: Instant) -> String {
    let rest = hold.until.map(|until| round(until.saturating_duration_since(now)));
    rest.map_or("without end".into(), |rest| format!("for {}", humantime::format_duration(rest)))
}

/// To whole seconds, as people read it; a time below one as it is.
fn round(time: Duration) -> Duration {
    if time < Duration::from_secs(1) { time } else { Duration::from_secs(time.as_secs_f64().round() as u64) }
}
