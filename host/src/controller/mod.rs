//! The controller: what comes from both sides leads to reconciliations, one at a time for each entry.
//!
//! kube's reflector keeps the entries, whichever source they come from, and kube's applier runs the reconciliations: each
//! entry in turn, all entries side by side, again at the time that the last one asked for.

mod blocked;
mod conditions;
mod context;
mod convert;
mod diagnostics;
mod entry_state;
mod guard_state;
mod handle;
mod holding;
mod index;
mod inputs;
mod inspection;
mod noticed;
mod publications;
mod reconcile;
mod reconciliation;
mod rehearsal;
mod report;
mod status_cache;
mod sync_status;
mod write;
mod write_state;

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use governor::{Quota, RateLimiter};
use kube::api::ApiResource;
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use tracing::{error, info, warn};

pub use blocked::paused;
pub use diagnostics::line;
pub use handle::{Handle, Snapshot};
pub use report::{EntryReport, Pending, PendingReason, WriteReport};
pub use sync_status::SyncStatus;

use crate::dns;
use crate::entries::EntryEvents;
use crate::guard::{Holds, Settings};
use crate::istio::ServiceEntry;
use crate::plan::AddressRule;
use crate::registry::{Registry, ReportQueue, ServiceCache};
use crate::rollout::ActiveModules;
use crate::sink::Sink;
use crate::tasks::{Pulse, TaskEnded, Tasks};
use crate::telemetry::Observers;
use crate::writes::{Gate, Turns};
use context::Context;
use index::Index;
use inputs::Inputs;
use reconcile::reconcile;

/// How long a stop waits for writes on their way.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// The parts that a controller is made of.
pub struct Parts<R> {
    pub registry: R,
    pub events: EntryEvents,
    /// The API resource of the entries.
    pub resource: ApiResource,
    /// The modules in use.
    pub converter: Arc<ActiveModules>,
    /// Where entries are written.
    pub sink: Sink,
    /// Asked before each write.
    pub gate: Arc<Gate>,
    /// Addresses that no endpoint may have, whatever the module says.
    pub addresses: AddressRule,
    /// Names that are published in the cluster's DNS; `None` if nothing ever is.
    pub names: Option<dns::Settings>,
    /// How long and how much the guard holds back.
    pub guard: Settings,
    /// All holds; their fleet limit is that of `guard`.
    pub holds: Arc<Holds>,
    /// Writes a second, of all entries together.
    pub write_rate: NonZeroU32,
    /// Entries a second that another module may change.
    pub swap_rate: NonZeroU32,
    /// Stop when every entry was reconciled.
    pub once: bool,
    /// Metrics and Events.
    pub observers: Observers,
    /// Where its parts show that they move.
    pub pulse: Pulse,
}

/// A controller, ready to run.
pub struct Controller<R> {
    registry: R,
    events: EntryEvents,
    writer: Writer<ServiceEntry>,
    queue: (UnboundedSender<ObjectRef<ServiceEntry>>, UnboundedReceiver<ObjectRef<ServiceEntry>>),
    context: Arc<Context>,
    reports: ReportQueue,
    pulse: Pulse,
    once: bool,
}

impl<R: Registry> Controller<R> {
    /// Puts it together; nothing is done yet.
    pub fn new(parts: Parts<R>) -> Self {
        let (services, reports) = ServiceCache::new();
        let context = Arc::new(Context {
            resource: parts.resource.clone(),
            services,
            entries: Default::default(),
            statuses: Default::default(),
            observers: parts.observers,
            modules: parts.converter,
            module_changes: RateLimiter::direct(Quota::per_second(parts.swap_rate)),
            addresses: parts.addresses,
            names: parts.names,
            guard: parts.guard,
            holds: parts.holds,
            turns: Arc::new(Turns::new(parts.write_rate)),
            sink: parts.sink,
            gate: parts.gate,
            outage: Default::default(),
            progress: Default::default(),
            complete: Default::default(),
            writes_ended: Default::default(),
            noticed: Default::default(),
        });
        let writer = Writer::new(parts.resource);
        Self {
            registry: parts.registry,
            events: parts.events,
            writer,
            queue: unbounded(),
            context,
            reports,
            pulse: parts.pulse,
            once: parts.once,
        }
    }

    /// The handle by which others see it and ask of it while it runs.
    pub fn handle(&self) -> Handle {
        Handle { context: Arc::clone(&self.context), store: self.writer.as_reader(), queue: self.queue.0.clone() }
    }

    /// Runs until `shutdown` is done or, with `once`, until every entry is reconciled. Returns how the worst of them ended.
    ///
    /// # Errors
    ///
    /// A part ended that was to go on.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<SyncStatus, TaskEnded> {
        let Self { registry, events, writer, queue: (queue, queued), context, reports, pulse, once } = self;
        let store = writer.as_reader();
        let reopened = context.gate.reopened();
        let index = Index::new(Arc::clone(&context.services));
        let (rings, turns) = (queue.clone(), Arc::clone(&context.turns));
        let inputs = Inputs { events, writer, queue, context: Arc::clone(&context), reopened, index };
        let reconciliations = applier(
            |entry, context| Box::pin(reconcile(entry, context)),
            |_, error: &Infallible, _| match *error {},
            Arc::clone(&context),
            store.clone(),
            queued.map(Ok::<_, Infallible>),
            Config::default(),
        )
        // An entry that went away between two reconciliations is no trouble.
        .for_each(|_: Result<(ObjectRef<ServiceEntry>, Action), _>| async {});
        let (mut reading, mut writing) = (Tasks::new(pulse.clone()), Tasks::new(pulse));
        reading.spawn("registry", registry.follow(reports));
        reading.spawn("entries", inputs.run());
        writing.spawn("reconciliations", reconciliations);
        // It fails only when the controller is stopping.
        reading.spawn("turns", async move { turns.run(|key| drop(rings.unbounded_send(key))).await });
        let status = tokio::select! {
            () = shutdown => Ok(SyncStatus::Synced),
            status = wait_until_reconciled(&context, &store), if once => Ok(status),
            ended = reading.ended() => Err(ended),
            ended = writing.ended() => Err(ended),
        };
        drop(reading);
        finish_writes(&context).await;
        drop(writing);
        status
    }
}

/// Waits until every entry was reconciled with an answer of its service.
async fn wait_until_reconciled(context: &Context, store: &Store<ServiceEntry>) -> SyncStatus {
    loop {
        context.progress.notified().await;
        if !context.complete.load(Ordering::Acquire) {
            continue;
        }
        let mut worst = Some(SyncStatus::Synced);
        let entries = store.state();
        for entry in &entries {
            let key = ObjectRef::from_obj_with(&**entry, context.resource.clone());
            worst = worst.zip(context.entries.get_or_create(&key).lock().await.report.status).map(|(a, b)| a.max(b));
        }
        if let Some(worst) = worst {
            info!(entries = entries.len(), "all entries reconciled");
            if context.sink.is_partial() {
                error!(
                    "not all documents of --entries can be used, see above; so this run failed, though the others are done"
                );
                return SyncStatus::Failed;
            }
            return worst;
        }
    }
}

/// Lets writes that are on their way come to an end, and no other begin.
async fn finish_writes(context: &Context) {
    if tokio::time::timeout(STOP_WITHIN, context.turns.close()).await.is_err() {
        warn!("a write was still on its way after {STOP_WITHIN:?}; it may or may not have arrived");
    } else {
        context.writes_ended.store(true, Ordering::Release);
    }
}
