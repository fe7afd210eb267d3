//! The reports of all policies, for whoever shows them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::report::Report;

/// The last report of every policy, and counts of what was written.
#[derive(Debug, Default)]
pub struct PolicyReports {
    reports: Mutex<BTreeMap<String, Report>>,
    imported: AtomicU64,
    pruned: AtomicU64,
}

impl PolicyReports {
    /// All policies by name, each with its last report.
    pub fn all(&self) -> BTreeMap<String, Report> {
        self.lock().clone()
    }

    /// Entries that were made, in this process's life.
    pub fn imported(&self) -> u64 {
        self.imported.load(Ordering::Relaxed)
    }

    /// Entries that were deleted after their services.
    pub fn pruned(&self) -> u64 {
        self.pruned.load(Ordering::Relaxed)
    }

    pub(super) fn replace(&self, reports: BTreeMap<String, Report>) {
        *self.lock() = reports;
    }

    pub(super) fn count_imported(&self) {
        self.imported.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_pruned(&self) {
        self.pruned.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Report>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
