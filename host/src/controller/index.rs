//! Which entries follow which service, both ways: what to ask the registry for, and whom an answer concerns.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;

use crate::istio::ServiceEntry;
use crate::registry::{ServiceKey, Wanted};

type EntryRef = ObjectRef<ServiceEntry>;

/// Entries by service, and services by entry.
#[derive(Default)]
pub(super) struct Index {
    services: HashMap<EntryRef, Option<ServiceKey>>,
    entries: BTreeMap<ServiceKey, HashSet<EntryRef>>,
}

impl Index {
    /// Notes which service an entry names now. Returns whether the set of wanted services changed.
    pub(super) fn bind(&mut self, entry: &EntryRef, service: Option<ServiceKey>) -> bool {
        if self.services.get(entry) == Some(&service) {
            return false;
        }
        let mut changed = self.forget(entry);
        if let Some(service) = &service {
            changed |= !self.entries.contains_key(service);
            self.entries.entry(service.clone()).or_default().insert(entry.clone());
        }
        self.services.insert(entry.clone(), service);
        changed
    }

    /// Forgets an entry. Returns whether the set of wanted services changed.
    pub(super) fn forget(&mut self, entry: &EntryRef) -> bool {
        let Some(Some(service)) = self.services.remove(entry) else { return false };
        let Some(entries) = self.entries.get_mut(&service) else { return false };
        entries.remove(entry);
        if entries.is_empty() {
            self.entries.remove(&service);
            return true;
        }
        false
    }

    /// The entries that follow a service.
    pub(super) fn entries_of(&self, service: &ServiceKey) -> impl Iterator<Item = &EntryRef> {
        self.entries.get(service).into_iter().flatten()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &EntryRef> {
        self.services.keys()
    }

    /// The services that some entry follows.
    pub(super) fn wanted(&self) -> Wanted {
        Arc::new(self.entries.keys().cloned().collect::<BTreeSet<_>>())
    }

    /// How many services some entry follows.
    pub(super) fn services(&self) -> usize {
        self.entries.len()
    }

    /// Whether some entry follows this service.
    pub(super) fn wants(&self, service: &ServiceKey) -> bool {
        self.entries.contains_key(service)
    }
}
