//! The parts of a running controller that every reconciliation uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use governor::DefaultDirectRateLimiter;
use kube::api::ApiResource;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::Notify;

use super::entry_state::Entries;
use super::inputs::title;
use super::noticed::Noticed;
use super::status_cache::StatusCache;
use crate::binding::binding;
use crate::dns;
use crate::guard::{Holds, Settings};
use crate::istio::ServiceEntry;
use crate::plan::AddressRule;
use crate::registry::ServiceCache;
use crate::rollout::ActiveModules;
use crate::sink::Sink;
use crate::telemetry::Observers;
use crate::writes::{Gate, Outage, Turns};

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
    /// The entries on which Events tell of the whole fleet.
    pub(super) noticed: Noticed,
    /// Closed when the controller stops: what waits here is not begun any more.
    pub(super) turns: Arc<Turns<ObjectRef<ServiceEntry>>>,
    pub(super) sink: Sink,
    pub(super) gate: Arc<Gate>,
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
        self.turns.leave(entry);
        self.observers.history.forget(&title(entry));
    }

    /// Forgets an entry that went away while it was reconciled: what that left is nobody's, and would keep an alarm for ever.
    pub(super) fn forget_late(&self, entry: &ObjectRef<ServiceEntry>, last: &ServiceEntry) {
        self.statuses.forget(entry);
        self.turns.leave(entry);
        self.holds.forget(&title(entry));
        self.observers.history.forget(&title(entry));
        if let Some(service) = binding(last).filter(|service| self.services.get(service).is_none()) {
            self.holds.fleet().unfollow(&service.to_string());
        }
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
