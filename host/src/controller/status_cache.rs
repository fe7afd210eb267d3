//! The report of each entry's last reconciliation. Reconciliations post it; readers wait for no reconciliation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::ObjectRef;

use super::report::EntryReport;
use crate::istio::ServiceEntry;

type EntryRef = ObjectRef<ServiceEntry>;

/// The last report of each entry.
#[derive(Default)]
pub(super) struct StatusCache {
    reports: Mutex<HashMap<EntryRef, Arc<EntryReport>>>,
}

impl StatusCache {
    pub(super) fn post(&self, entry: EntryRef, report: EntryReport) {
        self.lock().insert(entry, Arc::new(report));
    }

    /// The last report; an empty one if there is none.
    pub(super) fn get(&self, entry: &EntryRef) -> Arc<EntryReport> {
        self.lock().get(entry).cloned().unwrap_or_default()
    }

    pub(super) fn forget(&self, entry: &EntryRef) {
        self.lock().remove(entry);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EntryRef, Arc<EntryReport>>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
