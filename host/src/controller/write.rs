//! One write: when its turn comes, whether it may still be sent, and what becomes of it when it is not accepted.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use tracing::{info, warn};

use super::conditions::Line;
use super::reconciliation::{Checked, Guarded, Planned, Reconciliation};
use super::report::{PendingReason, WriteReport};
use super::sync_status::SyncStatus;
use crate::clock;
use crate::istio::ServiceEntry;
use crate::plan::{Apply, ApplyError, Desired};
use crate::telemetry::{Condition, HistoryKind};

/// How often an entry is too old to be written before somebody is told: the watch is late, or another one writes all the time.
const STALE_TOLD: u32 = 6;

impl Reconciliation<'_> {
    /// Performs what was planned, or shows it while writes are blocked.
    pub(super) async fn write(&mut self, planned: Planned) -> ControlFlow<Action, Guarded> {
        let Planned { guarded, apply } = planned;
        match (&apply, &guarded.blocked) {
            (None, _) => {
                self.clear_write_conditions();
                self.state.writes.end_failures();
            }
            (Some(apply), None) => self.apply(apply, &guarded).await?,
            (Some(apply), Some(blocked)) => {
                let action = self.rehearse(blocked, apply, &guarded.checked.desired).await;
                // What is held is recorded all the same.
                if guarded.decision.holds.is_empty() {
                    return Break(action);
                }
            }
        }
        Continue(guarded)
    }

    /// Performs an apply.
    async fn apply(&mut self, apply: &Apply, guarded: &Guarded) -> ControlFlow<Action> {
        let desired = &guarded.checked.desired;
        let now = Instant::now();
        if let Some(rest) = self.state.writes.refused_for(desired, self.live, now) {
            return Break(self.end(SyncStatus::Failed, Action::requeue(rest)));
        }
        let lane = self.state.writes.lane(guarded.restored);
        let wait = if guarded.restored { Duration::ZERO } else { self.state.writes.rest(lane, self.live, now) };
        if !wait.is_zero() {
            return Break(Action::requeue(wait));
        }
        let Some(turn) = self.context.turns.take(self.key, lane) else {
            // It is reconciled again when its turn comes, and decides anew.
            self.awaits_write = true;
            if self.state.report.status.is_none() {
                self.wait_for(PendingReason::Write);
            }
            return Break(Action::await_change());
        };
        let begun = Instant::now();
        // Again, since a module may have taken its time.
        if self.context.gate.check(clock::now()).is_err() || self.is_stale() {
            return Break(Action::requeue(Duration::ZERO));
        }
        let result = self.send(apply).await;
        turn.note(begun.elapsed(), !matches!(result, Err(ApplyError::Unavailable { .. })));
        self.context.observers.metrics.count_write(result.as_ref().err(), begun.elapsed(), &apply.change);
        match result {
            Ok(entry) => {
                self.note_written(entry, apply, &guarded.checked, begun);
                Continue(())
            }
            Err(error) => Break(self.fail_write(error, desired)),
        }
    }

    fn note_written(&mut self, entry: ServiceEntry, apply: &Apply, checked: &Checked, begun: Instant) {
        let Checked { answer, desired, .. } = checked;
        let change = &apply.change;
        self.note_history(apply, checked);
        self.measure_propagation(answer.received);
        self.clear_write_conditions();
        self.state.report.written = Some(WriteReport { at: Instant::now(), change: change.clone() });
        self.state.writes.note_written(self.live, entry, desired, Instant::now());
        self.context.outage.over();
        info!(
            service = answer.service.to_string(),
            added = change.added,
            removed = change.removed,
            changed = change.changed,
            fields = change.fields.join(","),
            revision = desired.revision,
            took_ms = begun.elapsed().as_millis() as u64,
            since_answer_ms = answer.received.elapsed().as_millis() as u64,
            "entry written"
        );
        self.tell_flapping();
    }

    /// Notes the write among the last changes, with what caused it.
    fn note_history(&self, apply: &Apply, checked: &Checked) {
        let Checked { answer, by, desired, .. } = checked;
        let module = self.state.publications.by.as_ref().filter(|before| *before != by);
        let cause = match (module, self.state.writes.measured) {
            (Some(before), _) => format!("module {} instead of {}", by.module, before.module),
            (None, Some(measured)) if measured < answer.received || self.state.report.written.is_none() => {
                format!("the registry's answer for {}, revision {}", answer.service, desired.revision)
            }
            _ => "the entry did not hold what it should: it was changed, or a hold ended".into(),
        };
        self.context.observers.history.note(HistoryKind::Write, self.title, &apply.change.to_string(), &cause);
    }

    /// A reconciliation that began before this process led is about answers that do not count any more.
    fn is_stale(&self) -> bool {
        self.context.services.term() != self.term
    }

    /// Sends an apply. It is given up before the right to write may lapse.
    async fn send(&self, apply: &Apply) -> Result<ServiceEntry, ApplyError> {
        let sent = self.context.sink.apply(apply);
        let Some(until) = self.context.gate.until() else { return sent.await };
        let late = |_| Err(ApplyError::Unavailable { detail: "no answer before the lease's end".into() });
        // The timer stands still while the machine sleeps; what arrives after that is refused, as it is of an older version.
        let rest = until.saturating_duration_since(clock::now());
        tokio::time::timeout(rest, sent).await.unwrap_or_else(late)
    }

    /// Notes that a write was not accepted. Returns when to try again.
    pub(super) fn fail_write(&mut self, error: ApplyError, desired: &Desired) -> Action {
        let again = match &error {
            ApplyError::Stale => {
                let (again, count) = self.state.writes.note_stale(self.live, Instant::now());
                if count >= STALE_TOLD {
                    let text = format!(
                        "{count} times in a row the entry had changed before it was written; tried again in {again:?}"
                    );
                    if self.state.conditions.is_news(Line::Condition(Condition::Write), "stale") {
                        warn!("not written: {text}");
                    }
                    self.state.conditions.note(Condition::Write, text);
                }
                return Action::requeue(again);
            }
            ApplyError::Gone => return Action::await_change(),
            ApplyError::Refused { .. } => {
                self.set(Condition::Write, error.to_string());
                self.state.writes.note_refused(desired.clone(), self.live, Instant::now())
            }
            ApplyError::Forbidden { .. } | ApplyError::Unavailable { .. } => {
                // It is the same for all entries: the log has it once, and no owner has a part in it.
                self.state.conditions.note(Condition::Write, error.to_string());
                self.context.outage.say(self.title, &error);
                self.state.writes.note_failure(Instant::now())
            }
        };
        self.end(SyncStatus::Failed, Action::requeue(again))
    }

    /// Tells of two writers that undo each other's work: the other one is to be named.
    fn tell_flapping(&mut self) {
        if self.state.writes.damper.flaps(Instant::now()).is_none() {
            return;
        }
        let managers: Vec<_> = self.live.ownership.others_of_spec("endpoints").map(str::to_owned).collect();
        let by = if managers.is_empty() && self.state.writes.changed_alone {
            "the conversion module, which gives other content for the same answer of the registry; `module rollback` goes back".into()
        } else if managers.is_empty() {
            "instances that come and go, or a writer that is gone from managedFields".into()
        } else {
            format!("the field manager `{}`", managers.join("`, `"))
        };
        self.set(Condition::Fight, format!("endpoints flap, caused by {by}"));
    }

    /// Measures the way from an answer to its write: only the first write for an answer that came while the entry was
    /// followed already, not one that puts something back later.
    fn measure_propagation(&mut self, answered: tokio::time::Instant) {
        if self.state.writes.measured.is_some_and(|measured| measured < answered) {
            self.context.observers.metrics.observe_propagation(answered.elapsed());
            self.state.writes.measured = Some(answered);
        }
    }
}
