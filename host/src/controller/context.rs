//! The parts of a running controller that every reconciliation uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use governor::DefaultDirectRateLimiter;
use kube::api::ApiResource;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::{Notify, Semaphore};

use super::entry_state::Entries;
use super::status_cache::StatusCache;
use crate::dns;
use crate::guard::{Holds, Settings};
use crate::istio::ServiceEntry;
use crate::plan::AddressRule;
use crate::registry::ServiceCache;
use crate::rollout::ActiveModules;
use crate::sink::Sink;
use crate::telemetry::Observers;
use crate::writes::{Gate, Outage, WriteRateLimiter};

/// Requests to the sink at once.
pub(super) const WRITERS: u32 = 16;

/// The parts, shared by all reconciliations.
pub(super) struct Context {
    pub(super) resource: ApiResource,
    pub(super) services: Arc<ServiceCache>,
    pub(super) entries: Entries,
    pub(super) statuses: StatusCache,
    pub(super) observers: Observers,
    pub(super) modules: Arc<ActiveModules>,
    /// Entries a second that another module may change.
    pub(super) module_changes: DefaultDirectRateLimiter,
    pub(super) addresses: AddressRule,
    /// Names that are published in the cluster's DNS; `None` if nothing ever is.
    pub(super) names: Option<dns::Settings>,
    pub(super) guard: Settings,
    pub(super) holds: Arc<Holds>,
    pub(super) write_rate: WriteRateLimiter,
    pub(super) sink: Sink,
    pub(super) gate: Arc<Gate>,
    /// Closed when the controller stops: what waits here is not begun any more.
    pub(super) writers: Semaphore,
    pub(super) outage: Outage,
    /// Rings after every reconciliation, for those who wait until all entries are reconciled.
    pub(super) progress: Notify,
    /// All entries are known.
    pub(super) complete: AtomicBool,
    /// A stop let all writes come to an end.
    pub(super) writes_ended: AtomicBool,
}

impl Context {
    pub(super) fn forget(&self, entry: &ObjectRef<ServiceEntry>) {
        self.entries.forget(entry);
        self.statuses.forget(entry);
    }

    /// Rings for those who wait for progress.
    pub(super) fn notify_progress(&self) {
        self.progress.notify_one();
    }

    /// Notes that all entries are known.
    pub(super) fn note_complete(&self) {
        self.complete.store(true, Ordering::Release);
        self.notify_progress();
    }
}
