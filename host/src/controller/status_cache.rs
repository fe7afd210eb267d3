//! The report of each entry's last reconciliation. Reconciliations post it; readers wait for no reconciliation, and can ask
//! which ones are new since they last asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::ObjectRef;

use super::report::EntryReport;
use crate::istio::ServiceEntry;

/// Entries that are gone and still told of; who asks more seldom reads everything.
const GONE: usize = 256;

type EntryRef = ObjectRef<ServiceEntry>;

/// The last report of each entry.
#[derive(Default)]
pub(super) struct StatusCache {
    reports: Mutex<Reports>,
}

#[derive(Default)]
struct Reports {
    /// Grows with every report, and with every entry that goes.
    version: u64,
    /// Each with the version that it came with.
    known: HashMap<EntryRef, (u64, Arc<EntryReport>)>,
    gone: VecDeque<(u64, EntryRef)>,
    /// Entries that went until this version are told of no more.
    forgotten: u64,
}

impl StatusCache {
    pub(super) fn post(&self, entry: EntryRef, report: EntryReport) {
        let mut reports = self.lock();
        reports.version += 1;
        let version = reports.version;
        reports.known.insert(entry, (version, Arc::new(report)));
    }

    /// The last report; an empty one if there is none.
    pub(super) fn get(&self, entry: &EntryRef) -> Arc<EntryReport> {
        self.lock().known.get(entry).map(|(_, report)| Arc::clone(report)).unwrap_or_default()
    }

    pub(super) fn forget(&self, entry: &EntryRef) {
        let mut reports = self.lock();
        reports.version += 1;
        let version = reports.version;
        reports.known.remove(entry);
        reports.gone.push_back((version, entry.clone()));
        if reports.gone.len() > GONE {
            reports.forgotten = reports.gone.pop_front().map_or(version, |(version, _)| version);
        }
    }

    /// The version now.
    pub(super) fn version(&self) -> u64 {
        self.lock().version
    }

    /// The entries that have another report since a version, or are gone; `None` if that is not known any more.
    pub(super) fn since(&self, version: u64) -> Option<Vec<EntryRef>> {
        let reports = self.lock();
        if version < reports.forgotten {
            return None;
        }
        let changed = reports.known.iter().filter(|(_, (at, _))| *at > version).map(|(entry, _)| entry);
        let gone = reports.gone.iter().filter(|(at, _)| *at > version).map(|(_, entry)| entry);
        Some(changed.chain(gone).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::istio::VERSIONS;

    #[test]
    fn tells_what_is_new_and_what_is_gone() {
        let cache = StatusCache::default();
        let entry = |name: &str| ObjectRef::new_with(name, ServiceEntry::resource(VERSIONS[0])).within("polaris");
        cache.post(entry("a"), EntryReport::default());
        let seen = cache.version();
        assert_eq!(cache.since(seen), Some(vec![]));
        cache.post(entry("b"), EntryReport::default());
        cache.forget(&entry("a"));
        let names = |list: Option<Vec<EntryRef>>| list.unwrap().into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names(cache.since(seen)), ["b", "a"]);
        (0..=GONE).for_each(|number| cache.forget(&entry(&number.to_string())));
        assert_eq!(cache.since(seen), None, "too long ago");
        assert!(cache.since(cache.version()).is_some());
    }
}
