//! One look at one entry, the whole way: answer, module, guard, plan, sink.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::ApiResource;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use polaris2istio_core::model::{Outcome, Service, Verdict};
use tokio::sync::{Notify, Semaphore};
use tracing::{error, info, warn};

use super::binding::{EMPTY_HOLD, binding, empty_service};
use super::diagnostics;
use super::services::{Known, Services};
use super::tracked::{Entries, Settled, Tracked};
use crate::converter::Converter;
use crate::gate::{Closed, Gate, Shut};
use crate::guard::{Budget, EmptyHold, Listed};
use crate::istio::{AddressRule, ServiceEntry, check};
use crate::outage::Outage;
use crate::plan::{Apply, Desired, Plan, plan};
use crate::registry::ServiceKey;
use crate::sink::{Sink, SinkError};

/// Requests to the sink at once.
pub(super) const WRITERS: u32 = 16;

/// When a module that gave nothing usable is tried again with the same input: a time-out may be the machine's fault.
const TROUBLE_RETRY: Duration = Duration::from_secs(60);

/// What every look needs.
pub(super) struct Context {
    pub(super) resource: ApiResource,
    pub(super) services: Services,
    pub(super) entries: Entries,
    pub(super) converter: Arc<Converter>,
    pub(super) addresses: AddressRule,
    pub(super) empty_hold: EmptyHold,
    pub(super) budget: Budget,
    pub(super) sink: Sink,
    pub(super) gate: Arc<Gate>,
    /// Closed when the controller stops: what waits here is not begun any more.
    pub(super) writers: Semaphore,
    pub(super) outage: Outage,
    /// Rings after every look, for those who wait for all entries to settle.
    pub(super) progress: Notify,
    pub(super) complete: std::sync::atomic::AtomicBool,
}

impl Context {
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
    let tracked = context.entries.get(&ObjectRef::from_obj_with(&*entry, context.resource.clone()));
    let mut tracked = tracked.lock().await;
    let live = tracked.freshest(entry);
    let title = live.title();
    let action = Look { context: &context, tracked: &mut tracked, live: &live, title: &title }.run().await;
    context.changed();
    Ok(action)
}

struct Look<'a> {
    context: &'a Context,
    tracked: &'a mut Tracked,
    live: &'a Arc<ServiceEntry>,
    title: &'a str,
}

/// A module's answer, on its way to the sink.
struct Converted {
    service: ServiceKey,
    listed: Listed,
    desired: Desired,
    content_revision: Option<String>,
    answered: tokio::time::Instant,
}

impl Look<'_> {
    async fn run(mut self) -> Action {
        let Some(service) = binding(self.live) else { return self.unbound().await };
        let Some((known, answered)) = self.context.services.get(&service) else {
            // Nothing is written for a service before the registry has answered for it.
            return Action::await_change();
        };
        let (content, listed) = match known {
            Known::Listed(content) => {
                let listed = Listed::Instances(content.instances.len());
                (content, listed)
            }
            Known::Missing => (Arc::new(empty_service(Some(&service))), Listed::Missing),
            Known::Failed => return self.end(Settled::Failed, Action::await_change()),
        };
        let Some(outcome) = self.convert(&service, &content).await else {
            return self.end(Settled::Failed, Action::requeue(TROUBLE_RETRY));
        };
        self.say(&outcome, &content);
        match outcome.verdict {
            Verdict::Rejected => self.end(Settled::Failed, Action::await_change()),
            Verdict::Unchanged => self.settled(),
            Verdict::Update(mut update) => {
                let content_revision = update.content_revision.take();
                let desired = Desired::new(update, service.to_string(), content.revision.clone());
                self.write(Converted { service, listed, desired, content_revision, answered }).await
            }
        }
    }

    /// An entry that names no service: the rules say what is missing, and nothing is ever written.
    async fn unbound(&mut self) -> Action {
        let nothing = Arc::new(empty_service(None));
        if let Ok(view) = self.live.view()
            && let Ok(outcome) = self.context.converter.convert(Arc::clone(&nothing), view, None).await
        {
            self.say(&outcome, &nothing);
        }
        self.end(Settled::Failed, Action::await_change())
    }

    async fn convert(&mut self, service: &ServiceKey, content: &Arc<Service>) -> Option<Outcome> {
        let view = match self.live.view() {
            Ok(view) => view,
            Err(unsupported) => return self.trouble(&unsupported.to_string()),
        };
        let published = self.tracked.published(service, self.live, Instant::now());
        let asked = published.is_some();
        match self.context.converter.convert(Arc::clone(content), view, published).await {
            Ok(outcome) if outcome.verdict == Verdict::Unchanged && !asked => {
                self.trouble("the module answers `unchanged` without having been told what is published; this is a defect of the module")
            }
            Ok(outcome) => {
                if self.tracked.over("trouble") {
                    info!(entry = self.title, "the module works on this entry again");
                }
                Some(outcome)
            }
            Err(error) => self.trouble(&error.to_string()),
        }
    }

    /// The module gave nothing that can be used: the last endpoints stay.
    fn trouble<T>(&mut self, what: &str) -> Option<T> {
        if self.tracked.says("trouble", what) {
            let module = self.context.converter.origin();
            error!(entry = self.title, module, "not converted, the last endpoints stay: {what}");
        }
        None
    }

    fn say(&mut self, outcome: &Outcome, content: &Service) {
        let lines: Vec<_> =
            outcome.diagnostics.iter().map(|diagnostic| diagnostics::line(diagnostic, content)).collect();
        // An unchanged answer may leave them out, and has nothing new to say.
        if outcome.verdict != Verdict::Unchanged && self.tracked.says("diagnostics", lines) {
            diagnostics::log(self.title, &outcome.diagnostics, content);
        }
    }

    async fn write(&mut self, converted: Converted) -> Action {
        let now = Instant::now();
        let Converted { service, listed, mut desired, content_revision, answered } = converted;
        if let Err(violation) = check(&desired, self.live, &self.context.addresses) {
            self.trouble::<()>(&format!("the module's answer breaks a rule: {violation}"));
            return self.end(Settled::Failed, Action::await_change());
        }
        let limit = self.empty_hold();
        let hold = self.tracked.guard.decide(&mut desired, listed, self.live, limit, now).cloned();
        let held = hold.is_some();
        let release = self.tell_hold(hold, now);
        let Plan { apply, contested } = plan(&desired, self.live);
        if self.tracked.says("contested", &contested) {
            for field in contested {
                warn!(
                    entry = self.title,
                    "left as it is: {field}, who wants something else; let one of the two decide"
                );
            }
        }
        if let Some(apply) = apply
            && let Some(again) = self.apply(&apply, &desired, service.to_string(), answered).await
        {
            return again;
        }
        if held {
            self.tracked.unpublish();
            return self.end(Settled::Held, release.map_or_else(Action::await_change, Action::requeue));
        }
        self.tracked.publish(&service, desired, content_revision, now);
        self.settled()
    }

    /// Performs an apply. Returns when to look again where it was not performed.
    async fn apply(
        &mut self,
        apply: &Apply,
        desired: &Desired,
        service: String,
        answered: tokio::time::Instant,
    ) -> Option<Action> {
        let now = Instant::now();
        if let Some(rest) = self.tracked.refused(desired, self.live, now) {
            return Some(self.end(Settled::Failed, Action::requeue(rest)));
        }
        if let Err(closed) = self.context.gate.check(now) {
            return Some(self.shut_out(&closed, apply));
        }
        let wait = self.tracked.pace.wait(now);
        if !wait.is_zero() {
            return Some(Action::requeue(wait));
        }
        self.context.budget.take(apply.change.removed > 0).await;
        let Ok(_writer) = self.context.writers.acquire().await else { return Some(Action::await_change()) };
        let begun = Instant::now();
        // Again, since a writer may have waited for its turn.
        if let Err(closed) = self.context.gate.check(begun) {
            return Some(self.shut_out(&closed, apply));
        }
        match self.context.sink.apply(apply).await {
            Ok(entry) => {
                self.tracked.over("shut");
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

    /// Says once what is not written. When the gate opens, every entry is looked at again.
    fn shut_out(&mut self, closed: &Closed, apply: &Apply) -> Action {
        let change = &apply.change;
        // A standby's log would repeat the leader's.
        if !closed.0.contains(&Shut::Standby) && self.tracked.says("shut", (closed, change)) {
            info!(
                entry = self.title,
                added = change.added,
                removed = change.removed,
                changed = change.changed,
                fields = change.fields.join(","),
                "would be written, but {closed}"
            );
        }
        self.end(Settled::Done, Action::await_change())
    }

    fn not_written(&mut self, error: SinkError, desired: &Desired) -> Action {
        let again = match &error {
            // The watch brings the newer state; this is for the case that it brought it already.
            SinkError::Stale => return Action::requeue(Duration::from_millis(50)),
            SinkError::Gone => return Action::await_change(),
            SinkError::Refused { .. } => {
                if self.tracked.says("refused", error.to_string()) {
                    error!(entry = self.title, "not written: {error}");
                }
                self.tracked.refuse(desired.clone(), self.live, Instant::now())
            }
            SinkError::Forbidden { .. } | SinkError::Unavailable { .. } => {
                self.context.outage.say(self.title, &error);
                self.tracked.failures += 1;
                back_off(self.tracked.failures)
            }
        };
        self.end(Settled::Failed, Action::requeue(again))
    }

    /// Two writers that undo each other's work: the other one is to be named.
    fn tell_fight(&mut self) {
        if !self.tracked.pace.flaps() {
            self.tracked.over("fight");
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
        }
    }

    fn empty_hold(&mut self) -> EmptyHold {
        let Some(text) = self.live.annotation(EMPTY_HOLD) else { return self.context.empty_hold };
        match text.parse() {
            Ok(hold) => hold,
            Err(error) => {
                if self.tracked.says("empty-hold", &error) {
                    warn!(
                        entry = self.title,
                        "annotation {EMPTY_HOLD}: `{text}`: {error}; --empty-hold counts instead"
                    );
                }
                self.context.empty_hold
            }
        }
    }

    /// Says once that something is held, or let go. Returns in what time it ends.
    fn tell_hold(&mut self, hold: Option<crate::guard::Hold>, now: Instant) -> Option<Duration> {
        let reason = hold.as_ref().map(|hold| hold.reason.clone());
        let rest = hold.and_then(|hold| hold.until).map(|until| until.saturating_duration_since(now));
        if reason == self.tracked.held {
            return rest;
        }
        match &reason {
            Some(reason) => {
                let end = rest
                    .map_or("without end".into(), |rest| format!("for {}", humantime::format_duration(round(rest))));
                warn!(entry = self.title, "endpoints held {end}: {reason}");
            }
            None => info!(entry = self.title, "endpoints no longer held"),
        }
        self.tracked.held = reason;
        rest
    }

    fn settled(&mut self) -> Action {
        let full = self.tracked.full_in(self.title, Instant::now());
        self.end(Settled::Done, Action::requeue(full))
    }

    fn end(&mut self, settled: Settled, action: Action) -> Action {
        self.tracked.settled = Some(settled);
        action
    }
}

/// Half a second, doubled with every failure up to half a minute, spread so that a thousand entries do not come at once.
fn back_off(failures: u32) -> Duration {
    let step = Duration::from_millis(500).saturating_mul(1 << failures.min(6)).min(Duration::from_secs(30));
    step.mul_f64(rand::random_range(0.5..1.0))
}

/// To whole seconds, as people read it.
fn round(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs_f64().round() as u64)
}
