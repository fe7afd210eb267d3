//! The changes that a row made in Polaris, from which follows what an entry must have, may have, and may be written for.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::entry::addresses;
use super::truth;

/// The services of a row. There is one of it, behind a lock.
#[derive(Default)]
pub(crate) struct Known(BTreeMap<String, Service>);

/// One of them.
#[derive(Default)]
struct Service {
    /// Ever listed.
    ever: BTreeSet<String>,
    /// Taken away on purpose, and when. None of them comes back.
    ended: BTreeMap<String, Timestamp>,
    /// Changes of its instances.
    changes: usize,
}

impl Known {
    /// Instances were registered.
    pub(crate) fn came(&mut self, service: &str, hosts: &[&str]) {
        let known = self.0.entry(service.into()).or_default();
        known.ever.extend(hosts.iter().map(|host| (*host).to_owned()));
        known.changes += 1;
    }

    /// An instance is about to be deregistered: from now on it may be missing.
    pub(crate) fn goes(&mut self, service: &str, host: &str) {
        let known = self.0.entry(service.into()).or_default();
        known.ended.insert(host.into(), Timestamp::now());
        known.changes += 1;
    }

    /// How many of the endpoints that an entry had are not among these, though at that time their instances were listed.
    pub(crate) fn lost(&self, service: &str, had: &BTreeSet<String>, now: &[&str], at: Timestamp) -> usize {
        let ended =
            |host: &str| self.0.get(service).and_then(|known| known.ended.get(host)).is_some_and(|end| *end <= at);
        had.iter().filter(|host| !now.contains(&host.as_str()) && !ended(host)).count()
    }

    /// The faults of the endpoints that an entry has or is given.
    pub(crate) fn wrong(&self, service: &str, entry: &Value) -> Option<String> {
        let hosts = addresses(entry);
        let ever = self.0.get(service).map(|known| &known.ever);
        if let Some(host) = hosts.iter().find(|host| ever.is_none_or(|ever| !ever.contains(**host))) {
            return Some(format!("{host}, which its service never had"));
        }
        if hosts.iter().collect::<BTreeSet<_>>().len() < hosts.len() {
            return Some(format!("an endpoint twice: {hosts:?}"));
        }
        let endpoints = entry["spec"]["endpoints"].as_array().into_iter().flatten();
        let mut both = endpoints.zip(hosts).map(|(endpoint, host)| (endpoint, truth::endpoint(host)));
        let (given, right) = both.find(|(given, right)| *given != right)?;
        Some(format!("{given} in place of {right}"))
    }

    /// How many writes of an entry its service is good for.
    pub(crate) fn needed(&self, service: &str) -> usize {
        self.0.get(service).map_or(0, |known| known.changes)
    }
}
