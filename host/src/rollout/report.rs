//! The changes that a candidate would make over all entries: the report that the operator reads before promoting it.

use std::fmt;
use std::net::IpAddr;

use polaris2istio_core::model::{Endpoint, Service};
use serde::{Deserialize, Serialize};

use super::{Comparison, Status};
use crate::text;
use crate::text::counted;

/// The most entries that a report names: ten thousand would be too many to read, and the report has to fit into a
/// ConfigMap.
const NAMED: usize = 10;
/// The most notes on one of them.
const NOTES: usize = 10;
/// The longest note, in characters.
const NOTE: usize = 400;

/// The comparison of two modules over all entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Entries that were compared.
    pub entries: usize,
    /// Entries that could not be compared, or not yet: their services are not known.
    pub uncompared: usize,
    /// Entries that were left out when the comparison was stopped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stopped: usize,
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
    /// Of the endpoints that would come, those at addresses at which the registry lists no instance.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub invented: usize,
    /// Entries that would get other ports, another resolution or location.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reshaped: usize,
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
    /// Adds one entry, with the number of endpoints that it holds now, and the instances that the registry lists.
    pub(super) fn add(&mut self, comparison: Comparison, endpoints: usize, service: &Service) {
        self.entries += 1;
        self.endpoints += endpoints;
        self.reshaped += usize::from(comparison.is_reshaped());
        let Comparison { case, status, endpoints, mut fields, reasons } = comparison;
        self.invented += endpoints.added.iter().filter(|endpoint| !is_listed(endpoint, service)).count();
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
            notes: notes(&fields),
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

/// Whether the registry lists an instance at an endpoint's address, however that is written.
fn is_listed(endpoint: &Endpoint, service: &Service) -> bool {
    let address = endpoint.address.parse::<IpAddr>().ok();
    service.instances.iter().any(|instance| {
        instance.host.eq_ignore_ascii_case(&endpoint.address)
            || (address.is_some() && instance.host.parse().ok() == address)
    })
}

/// The first of some notes, each cut, and how many there are more.
fn notes(all: &[String]) -> Vec<String> {
    let more = all.len().checked_sub(NOTES).filter(|more| *more > 0);
    let more = more.map(|more| format!("and {more} more"));
    all.iter().take(NOTES).map(|note| text::shown(note, NOTE)).chain(more).collect()
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The report in one line, for a log.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, uncompared, stopped, unchanged, changed, rejected, failed, .. } = self;
        let Self { endpoints, added, removed, altered, invented, active_call_us, candidate_call_us, .. } = self;
        write!(
            f,
            "{}: {unchanged} unchanged, {changed} changed, {rejected} newly rejected, {failed} failed",
            counted(*entries, "entry")
        )?;
        if uncompared + stopped > 0 {
            write!(f, ", {} not compared", uncompared + stopped)?;
        }
        write!(f, "; of {endpoints} endpoints {removed} would go, {altered} change, {added} come")?;
        if *invented > 0 {
            write!(f, " ({invented} of them for no listed instance)")?;
        }
        write!(f, "; a call takes {candidate_call_us} us instead of {active_call_us} us")
    }
}
