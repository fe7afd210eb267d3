//! Which entries follow which service, both ways: what to ask the registry for, and whom an answer concerns.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;

use crate::istio::ServiceEntry;
use crate::registry::{ServiceCache, ServiceKey, Subscription};

type EntryRef = ObjectRef<ServiceEntry>;

/// Entries by service, and services by entry. A service is subscribed to from its first entry to its last: one that is left
/// by its last entry and followed by another is asked for anew.
pub(super) struct Index {
    cache: Arc<ServiceCache>,
    services: HashMap<EntryRef, Option<ServiceKey>>,
    entries: BTreeMap<ServiceKey, (Subscription, HashSet<EntryRef>)>,
    /// Entries that follow some service.
    bound: usize,
}

/// What became of a service that an entry does not follow any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Others follow it.
    Followed,
    /// Nobody does.
    Unfollowed(ServiceKey),
}

impl Index {
    /// Without entries; services are subscribed to in this cache.
    pub(super) fn new(cache: Arc<ServiceCache>) -> Self {
        Self { cache, services: HashMap::new(), entries: BTreeMap::new(), bound: 0 }
    }

    /// Notes which service an entry names now. Returns the one that it followed until now, if any.
    pub(super) fn bind(&mut self, entry: &EntryRef, service: Option<ServiceKey>) -> Option<Left> {
        if self.services.get(entry) == Some(&service) {
            return None;
        }
        let left = self.forget(entry);
        if let Some(service) = &service {
            let subscribe = || (self.cache.subscribe(service), HashSet::new());
            self.entries.entry(service.clone()).or_insert_with(subscribe).1.insert(entry.clone());
            self.bound += 1;
        }
        self.services.insert(entry.clone(), service);
        left
    }

    /// Forgets an entry. Returns the service that it followed, if any.
    pub(super) fn forget(&mut self, entry: &EntryRef) -> Option<Left> {
        let service = self.services.remove(entry)??;
        let (_, entries) = self.entries.get_mut(&service)?;
        entries.remove(entry);
        self.bound -= 1;
        if entries.is_empty() {
            self.entries.remove(&service);
            return Some(Left::Unfollowed(service));
        }
        Some(Left::Followed)
    }

    /// The entries that follow a service.
    pub(super) fn entries_of(&self, service: &ServiceKey) -> impl Iterator<Item = &EntryRef> {
        self.entries.get(service).into_iter().flat_map(|(_, entries)| entries)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &EntryRef> {
        self.services.keys()
    }

    /// How many services some entry follows, and how many entries do.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.entries.len(), self.bound)
    }
}
