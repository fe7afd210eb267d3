//! What others may see of a running controller, and ask of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::channel::mpsc::UnboundedSender;
use kube::runtime::reflector::{ObjectRef, Store};
use polaris2istio_core::model::Service;

use super::binding::{binding, empty_service};
use super::reconcile::Context;
use super::services::Known;
use crate::istio::{AddressRule, ServiceEntry};

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
            let service = match self.context.services.get(&key).map(|heard| heard.known) {
                Some(Known::Listed(service)) => service,
                Some(Known::Missing) => Arc::new(empty_service(Some(&key))),
                Some(Known::Failed) | None => {
                    snapshot.unknown += 1;
                    continue;
                }
            };
            snapshot.entries.push((entry, service));
        }
        snapshot
    }

    /// Looks at all entries anew.
    pub fn look_again(&self) {
        for entry in self.store.state() {
            // It fails only when the controller is stopping.
            let _ = self.queue.unbounded_send(ObjectRef::from_obj_with(&*entry, self.context.resource.clone()));
        }
    }

    /// The addresses that endpoints may have.
    pub fn addresses(&self) -> &AddressRule {
        &self.context.addresses
    }
}
