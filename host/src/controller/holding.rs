//! The guard's decision on one entry, and what is told of it.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use polaris2istio_core::limits;
use tracing::{debug, info, warn};

use super::blocked::Blocked;
use super::diagnostics;
use super::reconciliation::{Checked, Guarded, Reconciliation};
use crate::clock;
use crate::guard::{AlarmNews, Decision, Fleet, GuardInput, Hold, Kind, NoticeKind};
use crate::hash::hash;
use crate::percent::Percent;
use crate::rollout::RolloutPhase;
use crate::telemetry::Condition;

impl Reconciliation<'_> {
    /// Changes what the entry should hold so that nothing disappears that is to be held.
    pub(super) fn guard(&mut self, mut checked: Checked) -> ControlFlow<Action, Guarded> {
        let blocked = self.blocked();
        // What the last good module had published comes back at once. That it drops something is known to be good; what the
        // registry has lost meanwhile is held as ever.
        let restored = blocked.is_none()
            && checked.turn == RolloutPhase::Restored
            && self.state.publications.restores(&checked.by, &checked.desired);
        let decision = self.decide(&mut checked, blocked.as_ref(), restored);
        let (count, most) = (checked.desired.endpoints.len(), limits::ENDPOINTS);
        if count > most {
            self.fail_conversion(&format!(
                "with those that are held, it would have {count} endpoints, and a ServiceEntry holds {most}; release them or wait"
            ));
            return Break(self.end_failed());
        }
        Continue(Guarded { checked, decision, blocked, restored })
    }

    fn decide(&mut self, checked: &mut Checked, blocked: Option<&Blocked>, restored: bool) -> Decision {
        let standby = blocked.is_some_and(Blocked::is_standby);
        let unblocked = self.state.guard.note_blocked(blocked.is_some());
        if standby || unblocked {
            // What would have been written was not, or another process wrote: what the entry holds is what counts.
            self.state.guard.guard.restart();
        }
        if !standby && self.state.guard.take_begin() {
            self.state.guard.guard.remember(self.context.holds.take_past(self.title));
        }
        let (settings, _) = self.context.guard.of_entry(self.live);
        let now = clock::now();
        let Checked { answer, by, origins, desired, .. } = checked;
        let excluded = by.excluded_metadata();
        // What a standby sees is nobody's alarm.
        let nobodys = Fleet::new(Percent::new(100));
        let fleet = if standby { &nobodys } else { self.context.holds.fleet() };
        let module = hash(&**by);
        let input = GuardInput {
            live: self.live,
            service: &answer.service.to_string(),
            content: &answer.heard,
            origins: std::mem::take(origins),
            answers: answer.answers,
            is_answered: answer.is_answered,
            settings,
            excluded: &excluded,
            addresses: &self.context.addresses,
            // What the operator lets go counts when it can be written.
            release: if blocked.is_some() { None } else { self.context.holds.take_release(self.title) },
            promotion: self.context.holds.promotion(module),
            module,
            restored,
            writable: blocked.is_none(),
            now,
        };
        let mut decision = self.state.guard.guard.decide(desired, &input, fleet);
        if standby {
            self.state.report.holds.clear();
        } else {
            self.context.holds.note(self.title, &decision.holds, std::mem::take(&mut decision.past));
            self.tell_fleet();
            self.tell_holds(&decision, now);
        }
        self.state.writes.urgent |= decision.on_purpose > 0;
        decision
    }

    /// Tells once what there is of the whole fleet: in the log, and of a notice by an Event on the entry that it was found at.
    fn tell_fleet(&mut self) {
        let news = self.context.holds.alarm_news();
        diagnostics::log_alarm(&news);
        diagnostics::note_alarm(&self.context.observers.history, &news);
        let events = &self.context.observers.events;
        for news in news {
            match news {
                AlarmNews::Noticed(notice) => {
                    let reason = match notice.kind {
                        NoticeKind::AllLost => "FleetLost",
                        NoticeKind::Isolated => "FleetIsolated",
                    };
                    events.problem(self.live, Condition::Held, reason, &notice.to_string());
                    self.context.noticed.begin(notice.kind, self.live);
                }
                AlarmNews::NoticeOver(kind) => {
                    if let Some(entry) = self.context.noticed.end(kind) {
                        events.solved(&entry, Condition::Held, kind.words());
                    }
                }
                AlarmNews::Raised(_) | AlarmNews::Over => {}
            }
        }
    }

    /// Tells once that something is held, or let go.
    fn tell_holds(&mut self, decision: &Decision, now: Instant) {
        if decision.misfits > 0 {
            warn!(
                endpoints = decision.misfits,
                "held endpoints are let go: they do not fit the entry's ports, resolution or address rules any more"
            );
        }
        self.set_held(decision, now);
        let kinds = decision.holds.iter().map(|hold| hold.kind).collect();
        let known = std::mem::replace(&mut self.state.guard.told, kinds);
        let begun = decision.holds.iter().filter(|hold| !known.contains(&hold.kind));
        let begun = begun.inspect(|hold| log_begin(hold, now)).count();
        for kind in known.iter().filter(|kind| begun == 0 && !self.state.guard.told.contains(kind)) {
            match kind {
                Kind::Fleet => debug!(hold = kind.as_str(), "endpoints no longer held"),
                _ => info!(hold = kind.as_str(), "endpoints no longer held"),
            }
        }
    }

    /// Keeps the holds for the status, and sets the condition when they begin and end: their figures may change often.
    fn set_held(&mut self, decision: &Decision, now: Instant) {
        self.state.report.holds.clone_from(&decision.holds);
        let kinds: Vec<_> = decision.holds.iter().map(|hold| hold.kind).collect();
        let told = &self.state.guard.told;
        let Some(newest) = kinds.iter().find(|kind| !told.contains(kind)).or(kinds.first()) else {
            return self.clear(Condition::Held);
        };
        if kinds != *told {
            let texts = decision.holds.iter().map(|hold| format!("endpoints held {}: {}", end(hold, now), hold.reason));
            let (text, owner) = (texts.collect::<Vec<_>>().join("; "), self.owner());
            self.state.conditions.set_for(Condition::Held, reason(*newest), text, &owner);
        }
    }
}

fn log_begin(hold: &Hold, now: Instant) {
    let Hold { kind, reason, endpoints, .. } = hold;
    let end = end(hold, now);
    match kind {
        // The alarm has been told, once for all.
        Kind::Fleet => debug!(endpoints, "endpoints held {end}: {reason}"),
        _ => warn!(hold = kind.as_str(), endpoints, "endpoints held {end}: {reason}"),
    }
}

/// The reason of an Event for each kind of hold, so that one kind is never told as another.
fn reason(kind: Kind) -> &'static str {
    match kind {
        Kind::Empty => "EndpointsHeldEmpty",
        Kind::Removal => "EndpointsHeldRemoval",
        Kind::Fleet => "EndpointsHeldFleet",
        Kind::Rebound => "EndpointsHeldRebound",
        Kind::Module => "EndpointsHeldModule",
        Kind::Annotation => "EndpointsHeldAnnotation",
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
