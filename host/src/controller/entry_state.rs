//! State of one entry that the controller keeps between two reconciliations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::ObjectRef;

use super::conditions::Conditions;
use super::guard_state::GuardState;
use super::publications::Publications;
use super::report::EntryReport;
use super::write_state::WriteState;
use crate::istio::ServiceEntry;

/// One entry.
#[derive(Default)]
pub(super) struct EntryState {
    uid: Option<String>,
    /// The term of its last reconciliation.
    term: u64,
    pub(super) writes: WriteState,
    pub(super) publications: Publications,
    pub(super) conditions: Conditions,
    pub(super) guard: GuardState,
    /// For the status, but for what the other parts know.
    pub(super) report: EntryReport,
}

impl EntryState {
    /// The entry as it is, as far as this process knows. One of the same name that was created anew begins anew.
    pub(super) fn freshest(&mut self, seen: Arc<ServiceEntry>) -> Arc<ServiceEntry> {
        if self.uid != seen.metadata.uid {
            *self = Self { uid: seen.metadata.uid.clone(), term: self.term, ..Self::default() };
        }
        self.writes.freshest(seen)
    }

    /// Begins a reconciliation in a term. A process that begins to write begins with holds of its own, and tells what there
    /// is to tell.
    pub(super) fn enter(&mut self, term: u64) {
        self.writes.measured.get_or_insert_with(tokio::time::Instant::now);
        if std::mem::replace(&mut self.term, term) != term {
            self.guard.begin_term();
            self.conditions.begin_term();
        }
    }

    /// All that the status shows.
    pub(super) fn full_report(&self) -> EntryReport {
        EntryReport {
            by: self.publications.by.clone(),
            problems: self.conditions.current().clone(),
            ..self.report.clone()
        }
    }
}

type Shared = Arc<tokio::sync::Mutex<EntryState>>;

/// All entries.
#[derive(Default)]
pub(super) struct Entries {
    states: Mutex<HashMap<ObjectRef<ServiceEntry>, Shared>>,
}

impl Entries {
    /// The state of an entry; a new one if nothing is known of it.
    pub(super) fn get_or_create(&self, entry: &ObjectRef<ServiceEntry>) -> Shared {
        Arc::clone(self.lock().entry(entry.clone()).or_default())
    }

    pub(super) fn forget(&self, entry: &ObjectRef<ServiceEntry>) {
        self.lock().remove(entry);
    }

    /// Whether an entry was forgotten since its state was got.
    pub(super) fn is_forgotten(&self, entry: &ObjectRef<ServiceEntry>, state: &Shared) -> bool {
        self.lock().get(entry).is_none_or(|known| !Arc::ptr_eq(known, state))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<ServiceEntry>, Shared>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
