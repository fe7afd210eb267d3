//! The changes that a candidate would make over all entries: the report that the operator reads before promoting it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Comparison, Status};

/// The most entries that a report names: ten thousand would be too many to read, and the report has to fit into a
/// ConfigMap.
const NAMED: usize = 10;

/// The comparison of two modules over all entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Entries that were compared.
    pub entries: usize,
    /// Entries that could not be compared, or not yet.
    pub uncompared: usize,
    /// Entries that would hold the same.
    pub unchanged: usize,
    /// Entries that would hold something else.
    pub changed: usize,
    /// Entries that the candidate rejects and the active module converts.
    pub rejected: usize,
    /// Entries on which the candidate fails.
    pub failed: usize,
    /// Endpoints of all compared entries now.
    pub endpoints: usize,
    /// Endpoints that would come.
    pub added: usize,
    /// Endpoints that would go. Entries that are rejected or failed keep theirs.
    pub removed: usize,
    /// Endpoints of the same address and ports with another weight, locality or labels.
    pub altered: usize,
    /// The largest changes, the largest first.
    pub largest: Vec<EntryChange>,
    /// Microseconds of one call of the active module, on average.
    pub active_call_us: u64,
    /// Microseconds of one call of the candidate, on average.
    pub candidate_call_us: u64,
}

/// The changes that a candidate would make to one entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryChange {
    /// `namespace/name`.
    pub entry: String,
    pub status: Status,
    /// Endpoints that would come.
    pub added: usize,
    /// Endpoints that would go.
    pub removed: usize,
    /// Endpoints that would be other than they are.
    pub altered: usize,
    /// Other fields that differ, and the reasons if the candidate gives no outcome.
    pub notes: Vec<String>,
}

impl Report {
    /// Adds one entry, with the number of endpoints that it holds now.
    pub(super) fn add(&mut self, comparison: Comparison, endpoints: usize) {
        self.entries += 1;
        self.endpoints += endpoints;
        let Comparison { case, status, endpoints, mut fields, reasons } = comparison;
        match status {
            Status::Unchanged => self.unchanged += 1,
            Status::Changed => self.changed += 1,
            Status::NewlyRejected => self.rejected += 1,
            Status::Failed => self.failed += 1,
        }
        fields.extend(reasons);
        let change = EntryChange {
            entry: case,
            status,
            added: endpoints.added.len(),
            removed: endpoints.removed.len(),
            altered: endpoints.altered.len(),
            notes: fields,
        };
        self.added += change.added;
        self.removed += change.removed;
        self.altered += change.altered;
        if status != Status::Unchanged {
            self.list_largest(change);
        }
    }

    fn list_largest(&mut self, change: EntryChange) {
        let size = |change: &EntryChange| {
            let gives_nothing = matches!(change.status, Status::Failed | Status::NewlyRejected);
            (gives_nothing, change.removed, change.added + change.altered)
        };
        self.largest.push(change);
        self.largest.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.entry.cmp(&b.entry)));
        self.largest.truncate(NAMED);
    }
}

/// The report in one line, for a log.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, uncompared, unchanged, changed, rejected, failed, .. } = self;
        let Self { endpoints, added, removed, altered, active_call_us, candidate_call_us, .. } = self;
        write!(
            f,
            "{entries} entries: {unchanged} unchanged, {changed} changed, {rejected} newly rejected, {failed} failed"
        )?;
        if *uncompared > 0 {
            write!(f, ", {uncompared} not compared")?;
        }
        write!(f, "; of {endpoints} endpoints {removed} would go, {altered} change, {added} come")?;
        write!(f, "; a call takes {candidate_call_us} us instead of {active_call_us} us")
    }
}
