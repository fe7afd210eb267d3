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
}

impl Index {
    /// Without entries; services are subscribed to in this cache.
    pub(super) fn new(cache: Arc<ServiceCache>) -> Self {
        Self { cache, services: HashMap::new(), entries: BTreeMap::new() }
    }

    /// Notes which service an entry names now. Returns whether the set of followed services changed.
    pub(super) fn bind(&mut self, entry: &EntryRef, service: Option<ServiceKey>) -> bool {
        if self.services.get(entry) == Some(&service) {
            return false;
        }
        let mut changed = self.forget(entry);
        if let Some(service) = &service {
            let (_, entries) = self.entries.entry(service.clone()).or_insert_with(|| {
                changed = true;
                (self.cache.subscribe(service), HashSet::new())
            });
            entries.insert(entry.clone());
        }
        self.services.insert(entry.clone(), service);
        changed
    }

    /// Forgets an entry. Returns whether the set of followed services changed.
    pub(super) fn forget(&mut self, entry: &EntryRef) -> bool {
        let Some(Some(service)) = self.services.remove(entry) else { return false };
        let Some((_, entries)) = self.entries.get_mut(&service) else { return false };
        entries.remove(entry);
        if entries.is_empty() {
            self.entries.remove(&service);
            return true;
        }
        false
    }

    /// The entries that follow a service.
    pub(super) fn entries_of(&self, service: &ServiceKey) -> impl Iterator<Item = &EntryRef> {
        self.entries.get(service).into_iter().flat_map(|(_, entries)| entries)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &EntryRef> {
        self.services.keys()
    }

    /// How many services some entry follows.
    pub(super) fn services(&self) -> usize {
        self.entries.len()
    }
}
