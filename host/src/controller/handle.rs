//! The handle of a running controller: others see through it, and ask by it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::channel::mpsc::UnboundedSender;
use kube::runtime::reflector::{ObjectRef, Store};
use polaris2istio_core::model::Service;

use super::context::Context;
use super::inputs::title;
use super::report::EntryReport;
use crate::binding::{binding, empty_service};
use crate::guard::GuardRecord;
use crate::istio::ServiceEntry;
use crate::plan::AddressRule;
use crate::registry::{Content, PollMode, ServiceKey, ServiceState, Trouble};

/// A controller's handle; it does not keep it running.
#[derive(Clone)]
pub struct Handle {
    pub(super) context: Arc<Context>,
    pub(super) store: Store<ServiceEntry>,
    pub(super) queue: UnboundedSender<ObjectRef<ServiceEntry>>,
}

/// All entries at one time.
pub struct Snapshot {
    /// Each with what its service lists.
    pub entries: Vec<(Arc<ServiceEntry>, Arc<Service>)>,
    /// How many there are beside, whose service is not known, or not yet.
    pub unknown: usize,
}

impl Handle {
    /// All entries as they are now. Those that name no service are not served, and left out.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot { entries: Vec::new(), unknown: 0 };
        // Before the first list is whole nobody knows how many there are.
        snapshot.unknown += usize::from(!self.context.complete.load(Ordering::Acquire));
        for entry in self.store.state() {
            let Some(key) = binding(&entry) else { continue };
            let service = match self.content(&key) {
                Some(Content::Listed(service)) => service,
                Some(Content::Missing) => Arc::new(empty_service(Some(&key))),
                None => {
                    snapshot.unknown += 1;
                    continue;
                }
            };
            snapshot.entries.push((entry, service));
        }
        snapshot
    }

    /// Every entry with the service that it names, what is known of that, and what the last look left. By name.
    pub fn reports(&self) -> Vec<(Arc<ServiceEntry>, Option<ServiceKey>, Arc<EntryReport>)> {
        let reported = |entry: Arc<ServiceEntry>| {
            let report = self.context.statuses.get(&ObjectRef::from_obj_with(&*entry, self.context.resource.clone()));
            let service = binding(&entry);
            (entry, service, report)
        };
        let mut reports: Vec<_> = self.store.state().into_iter().map(reported).collect();
        reports.sort_by_key(|(entry, ..)| entry.title());
        reports
    }

    /// The same of one entry, given as `namespace/name`; `None` if it is not served.
    pub fn report(&self, title: &str) -> Option<(Arc<ServiceEntry>, Option<ServiceKey>, Arc<EntryReport>)> {
        let (namespace, name) = title.split_once('/')?;
        let key = ObjectRef::new_with(name, self.context.resource.clone()).within(namespace);
        let entry = self.store.get(&key)?;
        let service = binding(&entry);
        Some((entry, service, self.context.statuses.get(&key)))
    }

    /// The version of all reports: another one when one was made, or an entry went.
    pub fn reports_version(&self) -> u64 {
        self.context.statuses.version()
    }

    /// The entries, as `namespace/name`, that have another report since a version, or are gone; `None` if that is not known.
    pub fn reports_since(&self, version: u64) -> Option<Vec<String>> {
        Some(self.context.statuses.since(version)?.iter().map(title).collect())
    }

    /// The last word on a service; `None` if no entry names it.
    pub fn heard(&self, service: &ServiceKey) -> Option<ServiceState> {
        self.context.services.get(service)
    }

    /// Whether all entries are known.
    pub fn synced(&self) -> bool {
        self.context.complete.load(Ordering::Acquire)
    }

    /// The revision of the registry's last answer for a service.
    pub fn revision(&self, service: &ServiceKey) -> Option<String> {
        match self.content(service)? {
            Content::Listed(service) => Some(service.revision.clone()),
            Content::Missing => None,
        }
    }

    fn content(&self, service: &ServiceKey) -> Option<Content> {
        Some(self.context.services.get(service)?.last?.content)
    }

    /// Why a service cannot be asked now; `None` if its last answer is sound.
    pub fn trouble(&self, service: &ServiceKey) -> Option<Trouble> {
        self.context.services.get(service)?.trouble
    }

    /// Looks at all entries anew.
    pub fn requeue_all(&self) {
        for entry in self.store.state() {
            // It fails only when the controller is stopping.
            let _ = self.queue.unbounded_send(ObjectRef::from_obj_with(&*entry, self.context.resource.clone()));
        }
    }

    /// To be called just before the gate opens for one who begins to write: what was asked of the registry until now does not
    /// count any more, and the guard goes on from what is known of the writer before.
    pub fn lead(&self, record: Option<&GuardRecord>) {
        self.context.holds.restore(record);
        self.context.services.change_mode(|mode| *mode = PollMode { slow: false, term: mode.term + 1 });
    }

    /// Another one writes, and says what is held: the registry need not be asked so often.
    pub fn stand_by(&self) {
        self.context.holds.stand_by();
        self.context.services.change_mode(|mode| mode.slow = true);
    }

    /// Whether a stop let all writes come to an end.
    pub fn writes_ended(&self) -> bool {
        self.context.writes_ended.load(Ordering::Acquire)
    }

    /// The addresses that endpoints may have.
    pub fn addresses(&self) -> &AddressRule {
        &self.context.addresses
    }
}
