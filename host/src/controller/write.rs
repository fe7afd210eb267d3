//! One write: when its turn comes, whether it may still be sent, and what becomes of it when it is not taken.

use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use tracing::{error, info, warn};

use super::entry_state::SyncStatus;
use super::reconcile::Reconciliation;
use super::report::WriteReport;
use crate::backoff;
use crate::istio::ServiceEntry;
use crate::plan::ApplyError;
use crate::plan::{Apply, Desired};
use crate::telemetry::Condition;

/// The shortest and longest wait after a write that could not be made, jitter included: a thousand entries must not come at once.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

impl Reconciliation<'_> {
    /// Performs an apply. Returns when to look again where it was not performed.
    pub(super) async fn apply(
        &mut self,
        apply: &Apply,
        desired: &Desired,
        service: String,
        answered: tokio::time::Instant,
        at_once: bool,
    ) -> Option<Action> {
        let now = Instant::now();
        if let Some(rest) = self.tracked.refused(desired, self.live, now) {
            return Some(self.end(SyncStatus::Failed, Action::requeue(rest)));
        }
        if !at_once {
            let wait = self.tracked.damper.wait(now);
            if !wait.is_zero() {
                return Some(Action::requeue(wait));
            }
            self.context.budget.take(self.tracked.urgent).await;
        }
        let Ok(_writer) = self.context.writers.acquire().await else { return Some(Action::await_change()) };
        let begun = Instant::now();
        // Again, since a writer may have waited for its turn.
        if self.context.gate.check(begun).is_err() || self.is_stale() {
            return Some(Action::requeue(Duration::ZERO));
        }
        let result = self.send(apply).await;
        self.context.observers.metrics.wrote(result.as_ref().err(), begun.elapsed(), &apply.change);
        match result {
            Ok(entry) => {
                self.propagated(answered);
                self.nothing_waits();
                self.tracked.report.written = Some(WriteReport { at: Instant::now(), change: apply.change.clone() });
                self.tracked.wrote(self.live, entry, desired, Instant::now());
                self.context.outage.over();
                let change = &apply.change;
                info!(
                    entry = self.title,
                    service,
                    added = change.added,
                    removed = change.removed,
                    changed = change.changed,
                    fields = change.fields.join(","),
                    revision = desired.revision,
                    took_ms = begun.elapsed().as_millis() as u64,
                    since_answer_ms = answered.elapsed().as_millis() as u64,
                    "entry written"
                );
                self.tell_fight();
                None
            }
            Err(error) => Some(self.not_written(error, desired)),
        }
    }

    /// A look that began before this process led is about answers that do not count any more.
    fn is_stale(&self) -> bool {
        self.context.services.term() != self.term
    }

    /// Sends an apply. It is given up before the right to write may lapse.
    async fn send(&self, apply: &Apply) -> Result<ServiceEntry, ApplyError> {
        let sent = self.context.sink.apply(apply);
        let Some(until) = self.context.gate.until() else { return sent.await };
        let late = |_| Err(ApplyError::Unavailable { detail: "no answer before the lease's end".into() });
        tokio::time::timeout_at(until.into(), sent).await.unwrap_or_else(late)
    }

    pub(super) fn not_written(&mut self, error: ApplyError, desired: &Desired) -> Action {
        let again = match &error {
            // The watch brings the newer state; this is for the case that it brought it already.
            ApplyError::Stale => return Action::requeue(Duration::from_millis(50)),
            ApplyError::Gone => return Action::await_change(),
            ApplyError::Refused { .. } => {
                self.problem(Condition::Write, error.to_string());
                if self.tracked.says("refused", error.to_string()) {
                    error!(entry = self.title, "not written: {error}");
                }
                self.tracked.refuse(desired.clone(), self.live, Instant::now())
            }
            ApplyError::Forbidden { .. } | ApplyError::Unavailable { .. } => {
                self.note(Condition::Write, error.to_string());
                self.context.outage.say(self.title, &error);
                self.tracked.failures += 1;
                backoff::after(self.tracked.failures, WAITS)
            }
        };
        self.end(SyncStatus::Failed, Action::requeue(again))
    }

    /// Two writers that undo each other's work: the other one is to be named.
    fn tell_fight(&mut self) {
        if self.tracked.damper.flaps(Instant::now()).is_none() {
            return;
        }
        let managers: Vec<_> = self.live.ownership.others_of_spec("endpoints").map(str::to_owned).collect();
        if self.tracked.says("fight", &managers) {
            let by = if managers.is_empty() {
                "instances that come and go, or a writer that is gone from managedFields".into()
            } else {
                format!("the field manager `{}`", managers.join("`, `"))
            };
            warn!(entry = self.title, "its content goes back and forth, by {by}; writes are spaced out up to 10 s");
            self.problem(Condition::Fight, format!("the content goes back and forth, by {by}"));
        }
    }
}
