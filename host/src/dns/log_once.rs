//! Logs a trouble with names once, and again only when it is another one.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{info, warn};

use super::client::Trouble;
use super::dns_entry::DnsEntry;
use super::plan::{Kind, Step};
use super::records::Names;
use super::refusal::Refusal;

/// The troubles that were logged.
#[derive(Default)]
pub(super) struct LogOnce {
    /// Refusals by entry.
    refusals: BTreeMap<String, Vec<Refusal>>,
    /// Troubles by object.
    troubles: BTreeMap<(Kind, String), Trouble>,
    /// Outages by the action that fails.
    outages: BTreeMap<&'static str, String>,
}

impl LogOnce {
    /// Logs the refusals of all entries.
    pub(super) fn warn_refusals(&mut self, all: &[(&DnsEntry, Names)]) {
        for (entry, names) in all {
            if self.refusals.get(&entry.uid).is_some_and(|told| *told == names.refusals) {
                continue;
            }
            for refusal in &names.refusals {
                warn!(entry = entry.title(), code = refusal.code(), "{refusal}");
            }
            self.refusals.insert(entry.uid.clone(), names.refusals.clone());
        }
        let present: BTreeSet<_> = all.iter().map(|(entry, _)| &entry.uid).collect();
        self.refusals.retain(|uid, _| present.contains(uid));
    }

    /// Notes that a step was performed.
    pub(super) fn note_done(&mut self, namespace: &str, step: &Step) {
        self.troubles.remove(&(step.kind, step.name.clone()));
        info!(object = title(namespace, step), "{}", step.action.done());
    }

    /// Warns that a step was not performed.
    pub(super) fn warn_trouble(&mut self, namespace: &str, step: &Step, trouble: Trouble) {
        let key = (step.kind, step.name.clone());
        if self.troubles.get(&key) != Some(&trouble) {
            warn!(object = title(namespace, step), "name not updated: {trouble}");
            self.troubles.insert(key, trouble);
        }
    }

    /// Warns that an action fails, whatever the object.
    pub(super) fn warn_outage(&mut self, what: &'static str, text: String) {
        if self.outages.get(what) != Some(&text) {
            warn!("{what}: {text}; retrying, what is published stays");
            self.outages.insert(what, text);
        }
    }

    /// Notes that an action succeeds.
    pub(super) fn note_recovery(&mut self, what: &'static str) {
        if self.outages.remove(what).is_some() {
            info!("{what}: works again");
        }
    }
}

fn title(namespace: &str, step: &Step) -> String {
    let kind = match step.kind {
        Kind::Service => "Service",
        Kind::Slice => "EndpointSlice",
    };
    format!("{kind} {namespace}/{}", step.name)
}
