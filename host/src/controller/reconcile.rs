//! One look at one entry, the whole way: answer, module, guard, plan, sink.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::DefaultDirectRateLimiter;
use kube::api::ApiResource;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use polaris2istio_core::model::{Diagnostic, Outcome, Service, Severity, Subject, Update, Verdict};
use tokio::sync::{Notify, Semaphore};
use tracing::{error, info, warn};

use super::diagnostics;
use super::entry_state::{Entries, EntryState, SyncStatus};
use super::holding::Facts;
use super::report::{StatusCache, text};
use crate::annotation::REVISION;
use crate::binding::{binding, empty_service};
use crate::converter::Identity;
use crate::dns;
use crate::guard::{Holds, Origins, Settings};
use crate::istio::ServiceEntry;
use crate::plan::{AddressRule, Desired, Plan, check, holds, plan};
use crate::registry::{Content, LastAnswer, ServiceCache, ServiceKey};
use crate::rollout::{ActiveModules, Conversion, LastPublished, RolloutPhase};
use crate::sink::Sink;
use crate::telemetry::Condition;
use crate::telemetry::Observers;
use crate::writes::Gate;
use crate::writes::Outage;
use crate::writes::WriteRateLimiter;

/// Requests to the sink at once.
pub(super) const WRITERS: u32 = 16;

/// When a module that gave nothing usable is tried again with the same input: a time-out may be the machine's fault.
const TROUBLE_RETRY: Duration = Duration::from_secs(60);

/// When an entry whose turn to be changed by another module has not come is looked at again, at least and at most.
const NEXT_TURN: (f64, f64) = (1.0, 3.0);

/// What every look needs.
pub(super) struct Context {
    pub(super) resource: ApiResource,
    pub(super) services: Arc<ServiceCache>,
    pub(super) entries: Entries,
    pub(super) board: StatusCache,
    pub(super) observers: Observers,
    pub(super) converter: Arc<ActiveModules>,
    /// Entries a second that another module may change.
    pub(super) changes: DefaultDirectRateLimiter,
    pub(super) addresses: AddressRule,
    /// What is published in the cluster's DNS; none where nothing ever is.
    pub(super) names: Option<dns::Settings>,
    pub(super) guard: Settings,
    pub(super) holds: Arc<Holds>,
    pub(super) budget: WriteRateLimiter,
    pub(super) sink: Sink,
    pub(super) gate: Arc<Gate>,
    /// Closed when the controller stops: what waits here is not begun any more.
    pub(super) writers: Semaphore,
    pub(super) outage: Outage,
    /// Rings after every look, for those who wait for all entries to settle.
    pub(super) progress: Notify,
    pub(super) complete: std::sync::atomic::AtomicBool,
    /// A stop let all writes come to an end.
    pub(super) writes_ended: std::sync::atomic::AtomicBool,
}

impl Context {
    pub(super) fn forget(&self, entry: &ObjectRef<ServiceEntry>) {
        self.entries.forget(entry);
        self.board.forget(entry);
    }

    pub(super) fn changed(&self) {
        self.progress.notify_one();
    }

    pub(super) fn listed(&self) {
        self.complete.store(true, std::sync::atomic::Ordering::Release);
        self.changed();
    }
}

/// Looks at one entry, and says when to look again.
pub(super) async fn reconcile(entry: Arc<ServiceEntry>, context: Arc<Context>) -> Result<Action, Infallible> {
    let key = ObjectRef::from_obj_with(&*entry, context.resource.clone());
    let tracked = context.entries.get(&key);
    let mut tracked = tracked.lock().await;
    let live = tracked.freshest(entry);
    let term = context.services.term();
    tracked.enter(term);
    let title = live.title();
    let look =
        Reconciliation { context: &context, tracked: &mut tracked, live: &live, title: &title, term, waits: false };
    let action = look.run().await;
    context.board.post(key, &tracked);
    context.changed();
    Ok(action)
}

pub(super) struct Reconciliation<'a> {
    pub(super) context: &'a Context,
    pub(super) tracked: &'a mut EntryState,
    pub(super) live: &'a Arc<ServiceEntry>,
    pub(super) title: &'a str,
    /// The term whose answers it is about.
    pub(super) term: u64,
    /// It is not this entry's turn yet to be changed by another module.
    waits: bool,
}

/// A module's answer, on its way to the sink.
struct Converted {
    by: Arc<Identity>,
    turn: RolloutPhase,
    service: ServiceKey,
    /// What the registry says of it.
    content: Content,
    answers: u64,
    origins: Origins,
    desired: Desired,
    content_revision: Option<String>,
    answered: tokio::time::Instant,
}

impl Reconciliation<'_> {
    async fn run(mut self) -> Action {
        self.names();
        self.annotations();
        if !self.stopped().is_some_and(|stopped| stopped.is_pause()) {
            self.solved(Condition::Paused);
        }
        let Some(service) = binding(self.live) else { return self.unbound().await };
        let Some(state) = self.context.services.current(&service) else {
            // Nothing is written for a service before the registry has answered for it.
            return Action::await_change();
        };
        self.tracked.report.answered = state.last.as_ref().map(|last| last.received);
        self.tracked.report.listed = None;
        let Some(LastAnswer { content, received: answered, count: answers, .. }) = state.last else {
            // Those who look on learn the reason from the service itself: it changes without a look.
            return self.end(SyncStatus::Failed, Action::await_change());
        };
        let given = match &content {
            Content::Listed(listed) => {
                self.tracked.report.listed = Some(listed.instances.len());
                Arc::clone(listed)
            }
            Content::Missing => Arc::new(empty_service(Some(&service))),
        };
        let Some(Conversion { outcome, by, turn }) = self.convert(&service, &given).await else {
            return self.end(SyncStatus::Failed, Action::requeue(TROUBLE_RETRY));
        };
        self.waits = turn == RolloutPhase::Waits;
        self.say(&outcome, &given);
        match outcome.verdict {
            Verdict::Rejected => {
                self.nothing_waits();
                self.end(SyncStatus::Failed, Action::await_change())
            }
            Verdict::Unchanged => {
                self.tracked.by = Some(by);
                self.status()
            }
            Verdict::Update(mut update) => {
                let content_revision = update.content_revision.take();
                let origins = Origins::of(&update, &given);
                let desired = Desired::new(update, service.to_string(), given.revision.clone());
                let converted =
                    Converted { by, turn, service, content, answers, origins, desired, content_revision, answered };
                self.write(converted).await
            }
        }
    }

    /// An entry that names no service: the rules say what is missing, and nothing is ever written.
    async fn unbound(&mut self) -> Action {
        let nothing = Arc::new(empty_service(None));
        if let Ok(view) = self.live.view()
            && let Ok(given) = self.context.converter.convert(&nothing, view, LastPublished::default(), |_| true).await
        {
            self.say(&given.outcome, &nothing);
        }
        self.end(SyncStatus::Failed, Action::await_change())
    }

    async fn convert(&mut self, service: &ServiceKey, content: &Arc<Service>) -> Option<Conversion> {
        let view = match self.live.view() {
            Ok(view) => view,
            Err(unsupported) => return self.trouble(&unsupported.to_string()),
        };
        let memory = self.tracked.memory(service, self.live, Instant::now());
        let admit = |update: &Update| {
            let desired = Desired::new(update.clone(), service.to_string(), content.revision.clone());
            holds(&desired, self.live) || self.context.changes.check().is_ok()
        };
        let begun = Instant::now();
        let result = self.context.converter.convert(content, view, memory, admit).await;
        let verdict = result.as_ref().map(|given| &given.outcome.verdict).ok();
        self.context.observers.metrics.converted(verdict, begun.elapsed());
        match result {
            Ok(given) => {
                self.solved(Condition::Conversion);
                if self.tracked.over("trouble") {
                    info!(entry = self.title, "the module works on this entry again");
                }
                Some(given)
            }
            Err(error) => self.trouble(&error.to_string()),
        }
    }

    /// The module gave nothing that can be used: the last endpoints stay.
    pub(super) fn trouble<T>(&mut self, what: &str) -> Option<T> {
        self.problem(Condition::Conversion, what.into());
        if self.tracked.says("trouble", what) {
            error!(
                entry = self.title,
                module = self.context.converter.active().origin(),
                "not converted, the last endpoints stay: {what}"
            );
        }
        None
    }

    fn say(&mut self, outcome: &Outcome, content: &Service) {
        self.tracked.report.take(outcome);
        if outcome.verdict == Verdict::Unchanged {
            self.solved(Condition::Rejected);
        } else {
            let rejected = outcome.verdict == Verdict::Rejected;
            self.problem(
                Condition::Rejected,
                text(outcome, content, |one| rejected && one.severity == Severity::Error),
            );
            let annotation = |one: &Diagnostic| !rejected && matches!(one.subject, Subject::Annotation(_));
            self.modules_annotations(text(outcome, content, annotation));
        }
        let lines: Vec<_> =
            outcome.diagnostics.iter().map(|diagnostic| diagnostics::line(diagnostic, content)).collect();
        // An unchanged answer may leave them out, and has nothing new to say.
        if outcome.verdict != Verdict::Unchanged && self.tracked.says("diagnostics", lines) {
            diagnostics::log(self.title, &outcome.diagnostics, content);
        }
    }

    async fn write(&mut self, converted: Converted) -> Action {
        let now = Instant::now();
        let Converted { by, turn, service, content, answers, origins, mut desired, content_revision, answered } =
            converted;
        let source = service.to_string();
        if let Err(violation) = check(&desired, self.live, &self.context.addresses) {
            self.trouble::<()>(&format!("the module's answer breaks a rule: {violation}"));
            return self.end(SyncStatus::Failed, Action::await_change());
        }
        let stopped = self.stopped();
        // What the last good module had published comes back at once, whatever goes with it.
        let restored = stopped.is_none() && turn == RolloutPhase::Restored && self.tracked.restores(&by, &desired);
        let decision = if restored {
            self.let_go()
        } else {
            let facts = Facts { content: &content, origins, answers };
            self.guard(&mut desired, &source, facts, stopped.as_ref())
        };
        if self.too_many(&desired) {
            return self.end(SyncStatus::Failed, Action::await_change());
        }
        if content.is_missing() {
            if desired.endpoints.is_empty() && self.live.spec.endpoints.is_empty() {
                // A service that is not there yet gives an entry nothing.
                return self.status();
            }
            desired.revision = self.live.annotation(REVISION).unwrap_or_default().to_owned();
        }
        let held = !decision.holds.is_empty();
        let Plan { apply, contested } = plan(&desired, self.live);
        let fields: Vec<_> = contested.iter().map(ToString::to_string).collect();
        self.problem(Condition::Contested, fields.join(", "));
        if self.tracked.says("contested", &contested) {
            for field in contested {
                warn!(
                    entry = self.title,
                    "left as it is: {field}, who wants something else; let one of the two decide"
                );
            }
        }
        if let Some(apply) = apply {
            let again = match &stopped {
                Some(stopped) => Some(self.show(stopped, &apply, &desired).await),
                None => self.apply(&apply, &desired, source, answered, restored).await,
            };
            match again {
                Some(again) if stopped.is_none() || !held => return again,
                _ => {}
            }
        } else {
            self.nothing_waits();
        }
        // Not before it is written: what has to be tried again is still a change from the module before.
        self.tracked.by = Some(Arc::clone(&by));
        if held {
            self.tracked.unpublish();
            let again = decision.again.into_iter().chain(self.quiet()).min();
            return self.end(SyncStatus::Held, again.map_or_else(Action::await_change, Action::requeue));
        }
        self.tracked.publish(by, &service, desired, content_revision, now);
        self.status()
    }

    fn status(&mut self) -> Action {
        self.nothing_waits();
        let full = self.tracked.full_in(self.title, Instant::now());
        let again = self.quiet().map_or(full, |quiet| quiet.min(full));
        self.end(SyncStatus::Synced, Action::requeue(again))
    }

    pub(super) fn end(&mut self, status: SyncStatus, action: Action) -> Action {
        if self.waits {
            self.tracked.status = None;
            return Action::requeue(Duration::from_secs_f64(rand::random_range(NEXT_TURN.0..NEXT_TURN.1)));
        }
        if status != SyncStatus::Failed {
            // What is written later for the same answer is written for another reason.
            self.tracked.measured = self.tracked.measured.max(self.tracked.report.answered);
        }
        self.tracked.status = Some(status);
        match self.quiet() {
            // What is looked at again anyway is so within this time.
            Some(quiet) if action == Action::await_change() => Action::requeue(quiet),
            _ => action,
        }
    }
}
