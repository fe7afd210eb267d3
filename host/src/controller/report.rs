//! What is known of each entry after the last look at it, for the status, metrics and Events. Looks post it; readers wait for
//! no look.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use kube::runtime::reflector::ObjectRef;
use polaris2istio_core::model::{Diagnostic, Outcome, Service, Subject, Verdict};

use super::diagnostics;
use super::entry_state::{EntryState, SyncStatus};
use crate::converter::Identity;
use crate::guard::Hold;
use crate::istio::ServiceEntry;
use crate::plan::Change;
use crate::telemetry::Condition;

/// Lines of a module that a problem repeats; the log has them all.
const LINES: usize = 3;

/// The reason of instances for which the module gave none.
const UNTOLD: &str = "untold";

/// One entry, after the last look.
#[derive(Clone, Debug, Default)]
pub struct EntryReport {
    /// How the look ended; none where the registry has not answered yet.
    pub status: Option<SyncStatus>,
    /// The module that gave the last outcome.
    pub by: Option<Arc<Identity>>,
    /// Instances that the registry lists; none where it says that there is no such service, or nothing yet.
    pub listed: Option<usize>,
    /// Of these, how many were left out, by the code of the reason.
    pub left_out: BTreeMap<String, usize>,
    /// Of these, how many are in an endpoint.
    pub(super) taken: usize,
    /// When the answer came that the last look was about.
    pub answered: Option<tokio::time::Instant>,
    /// The last write of this process.
    pub written: Option<WriteReport>,
    /// Endpoints that are kept.
    pub holds: Vec<Hold>,
    pub problems: BTreeMap<Condition, String>,
}

#[derive(Clone, Debug)]
pub struct WriteReport {
    /// When it was acknowledged.
    pub at: Instant,
    pub change: Change,
}

type EntryRef = ObjectRef<ServiceEntry>;

#[derive(Default)]
pub(super) struct StatusCache {
    reports: Mutex<HashMap<EntryRef, Arc<EntryReport>>>,
}

impl StatusCache {
    pub(super) fn post(&self, entry: EntryRef, tracked: &EntryState) {
        let report = EntryReport { status: tracked.status, by: tracked.by.clone(), ..tracked.report.clone() };
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).insert(entry, Arc::new(report));
    }

    pub(super) fn get(&self, entry: &ObjectRef<ServiceEntry>) -> Arc<EntryReport> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).get(entry).cloned().unwrap_or_default()
    }

    pub(super) fn forget(&self, entry: &ObjectRef<ServiceEntry>) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).remove(entry);
    }
}

impl EntryReport {
    /// Takes what a module said.
    pub(super) fn take(&mut self, outcome: &Outcome) {
        let update = match &outcome.verdict {
            Verdict::Update(update) => update,
            // It repeats no reasons; what the endpoints were made of is what it was.
            Verdict::Unchanged => {
                let untold = self.listed.unwrap_or_default().saturating_sub(self.taken);
                if untold != self.left_out.values().sum::<usize>() {
                    self.left_out.clear();
                    self.left_out.extend((untold > 0).then(|| (UNTOLD.into(), untold)));
                }
                return;
            }
            Verdict::Rejected => return self.left_out.clear(),
        };
        self.left_out.clear();
        let taken: HashSet<u32> = update.endpoints.iter().flat_map(|endpoint| &endpoint.instances).copied().collect();
        let mut told = HashSet::new();
        for diagnostic in &outcome.diagnostics {
            if let Subject::Instance(position) = diagnostic.subject
                && !taken.contains(&position)
                // The first reason counts.
                && told.insert(position)
            {
                *self.left_out.entry(diagnostic.code.clone()).or_default() += 1;
            }
        }
        self.taken = taken.len();
        let untold = self.listed.unwrap_or_default().saturating_sub(taken.len() + told.len());
        if untold > 0 {
            self.left_out.insert(UNTOLD.into(), untold);
        }
    }
}

/// The lines of some diagnostics as one text; empty where there is none.
pub(super) fn text(outcome: &Outcome, service: &Service, picked: impl Fn(&Diagnostic) -> bool) -> String {
    let picked: Vec<_> = outcome.diagnostics.iter().filter(|diagnostic| picked(diagnostic)).collect();
    let lines = picked.iter().take(LINES).map(|diagnostic| diagnostics::line(diagnostic, service));
    let mut text = lines.collect::<Vec<_>>().join("; ");
    if picked.len() > LINES {
        text.push_str(&format!("; and {} more", picked.len() - LINES));
    }
    text
}
