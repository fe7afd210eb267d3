//! Logs the troubles with names once, and again only when they are others.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::client::Trouble;
use super::dns_entry::DnsEntry;
use super::plan::{Kind, Step};
use super::records::Names;
use crate::log_once::LogOnce;
use crate::title::title;

/// The log of the names.
#[derive(Default)]
pub(super) struct NamesLog {
    /// By the entry's uid.
    refusals: LogOnce<String>,
    /// By object.
    troubles: LogOnce<(Kind, String)>,
    /// By the thing that cannot be done.
    outages: LogOnce,
}

impl NamesLog {
    /// The reasons of all entries.
    pub(super) fn refusals(&mut self, all: &[(&DnsEntry, Names)]) {
        for (entry, names) in all {
            if self.refusals.is_news(entry.uid.clone(), &names.refusals) {
                for refusal in &names.refusals {
                    warn!(entry = entry.title(), code = refusal.code(), "{refusal}");
                }
            }
        }
        let present: BTreeSet<_> = all.iter().map(|(entry, _)| &entry.uid).collect();
        self.refusals.retain(|uid| present.contains(uid));
    }

    /// A step was done.
    pub(super) fn done(&mut self, namespace: &str, step: &Step) {
        self.troubles.end(&(step.kind, step.name.clone()));
        info!(object = object(namespace, step), "{}", step.action.done());
    }

    /// A step was not done.
    pub(super) fn trouble(&mut self, namespace: &str, step: &Step, trouble: &Trouble) {
        if self.troubles.is_news((step.kind, step.name.clone()), trouble.to_string()) {
            warn!(object = object(namespace, step), "name not kept: {trouble}");
        }
    }

    /// Something cannot be done, whatever the object.
    pub(super) fn outage(&mut self, what: &'static str, text: &str) {
        if self.outages.is_news(what, text) {
            warn!("{what}: {text}; retrying, what is published stays");
        }
    }

    /// It can be done.
    pub(super) fn works(&mut self, what: &'static str) {
        if self.outages.end(&what) {
            info!("{what}: works again");
        }
    }
}

fn object(namespace: &str, step: &Step) -> String {
    let kind = match step.kind {
        Kind::Service => "Service",
        Kind::Slice => "EndpointSlice",
    };
    format!("{kind} {}", title(namespace, &step.name))
}
