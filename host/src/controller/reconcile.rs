//! Reconciles one entry, the whole way: answer, module, rules, guard, plan, sink.

use std::convert::Infallible;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::Instant;

use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use tracing::{Instrument, error_span};

use super::context::Context;
use super::publications::Publication;
use super::reconciliation::{Answer, Checked, Guarded, Planned, Reconciliation};
use super::report::PendingReason;
use super::sync_status::SyncStatus;
use crate::annotation::REVISION;
use crate::binding::{binding, empty_service};
use crate::istio::ServiceEntry;
use crate::plan::{Plan, plan};
use crate::registry::{Content, LastAnswer};
use crate::telemetry::Condition;

/// Reconciles one entry, and says when to do so again.
pub(super) async fn reconcile(entry: Arc<ServiceEntry>, context: Arc<Context>) -> Result<Action, Infallible> {
    let key = ObjectRef::from_obj_with(&*entry, context.resource.clone());
    let shared = context.entries.get_or_create(&key);
    let mut state = shared.lock().await;
    let live = state.freshest(entry);
    let term = context.services.term();
    state.enter(term);
    let title = live.title();
    // A span of another level would be gone where only errors are logged, and with it the name of the entry.
    let span = error_span!("reconcile", entry = title.as_str());
    let reconciliation = Reconciliation {
        context: &context,
        state: &mut state,
        key: &key,
        live: &live,
        title: &title,
        term,
        awaits_turn: false,
        awaits_write: false,
    };
    let action = reconciliation.run().instrument(span).await;
    context.statuses.post(key.clone(), state.full_report());
    drop(state);
    if context.entries.is_forgotten(&key, &shared) {
        context.forget_late(&key, &live);
    }
    context.notify_progress();
    Ok(action)
}

impl Reconciliation<'_> {
    async fn run(mut self) -> Action {
        self.inspect();
        let Break(action) = self.stages().await;
        if !self.awaits_write {
            self.context.turns.leave(self.key);
        }
        action
    }

    /// The way of an answer to the entry. Each stage hands its result to the next one, or ends with when to reconcile again.
    async fn stages(&mut self) -> ControlFlow<Action, Infallible> {
        let answer = self.answer().await?;
        let converted = self.convert(answer).await?;
        let checked = self.check(converted)?;
        let guarded = self.guard(checked)?;
        let planned = self.plan(guarded)?;
        let written = self.write(planned).await?;
        self.record(written)
    }

    /// Finds the registry's last answer. Nothing is written for a service before there is one.
    async fn answer(&mut self) -> ControlFlow<Action, Answer> {
        let Some(service) = binding(self.live) else { return Break(self.reject_unbound().await) };
        let Some(state) = self.context.services.current(&service) else {
            self.state.report.wait_for(PendingReason::Answer);
            return Break(Action::await_change());
        };
        self.state.report.end_wait_for(PendingReason::Answer);
        self.state.report.answered = state.last.as_ref().map(|last| last.received);
        self.state.report.listed = None;
        let Some(LastAnswer { content: heard, received, count: answers, .. }) = state.last else {
            // The status has the reason from the service itself: it changes without a reconciliation.
            return Break(self.end_failed());
        };
        let content = match &heard {
            Content::Listed(content) => {
                self.state.report.listed = Some(content.instances.len());
                Arc::clone(content)
            }
            Content::Missing => Arc::new(empty_service(Some(&service))),
        };
        Continue(Answer { service, heard, content, answers, is_answered: state.trouble.is_none(), received })
    }

    /// Compares what the entry should hold with what it holds.
    fn plan(&mut self, mut guarded: Guarded) -> ControlFlow<Action, Planned> {
        self.clear(Condition::Conversion);
        let Checked { answer, desired, .. } = &mut guarded.checked;
        if answer.heard.is_missing() {
            if desired.endpoints.is_empty() && self.live.spec.endpoints.is_empty() {
                // A service that is not there yet gives an entry nothing.
                return Break(self.end_synced());
            }
            desired.revision = self.live.annotation(REVISION).unwrap_or_default().to_owned();
        }
        let Plan { apply, contested } = plan(desired, self.live);
        let fields: Vec<_> = contested.iter().map(ToString::to_string).collect();
        self.set(Condition::Contested, fields.join(", "));
        Continue(Planned { guarded, apply })
    }

    /// Remembers what the entry holds now, and by which module. Not before it is written: what has to be tried again is still
    /// a change from the module before.
    fn record(&mut self, written: Guarded) -> ControlFlow<Action, Infallible> {
        let Guarded { checked: Checked { answer, by, desired, content_revision, .. }, decision, .. } = written;
        self.state.publications.by = Some(Arc::clone(&by));
        if !decision.holds.is_empty() {
            self.state.publications.park();
            let again = decision.requeue_after.into_iter().chain(self.clear_flapping()).min();
            return Break(self.end(SyncStatus::Held, again.map_or_else(Action::await_change, Action::requeue)));
        }
        let (service, revision, full_at) = (answer.service, content_revision, Instant::now());
        self.state.publications.publish(Publication { by, service, desired, revision, full_at });
        Break(self.end_synced())
    }
}
