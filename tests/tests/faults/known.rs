//! What a row did in Polaris: so what an entry must have, may have, and may be written for.

use std::collections::{BTreeMap, BTreeSet};

/// The services of a row. There is one of it, behind a lock.
#[derive(Clone, Default)]
pub(crate) struct Known(BTreeMap<String, Service>);

/// One of them.
#[derive(Clone, Default)]
struct Service {
    /// Listed from the start to the end: never to be missing.
    steady: BTreeSet<String>,
    /// Ever listed.
    ever: BTreeSet<String>,
    /// Changes of its instances.
    changes: usize,
}

impl Known {
    /// Instances were registered, or deregistered.
    pub(crate) fn changed(&mut self, service: &str, hosts: &[&str]) {
        let known = self.0.entry(service.into()).or_default();
        known.ever.extend(hosts.iter().map(|host| (*host).to_owned()));
        known.changes += 1;
    }

    /// From now on they are never to be missing.
    pub(crate) fn steady(&mut self, service: &str, hosts: &[&str]) {
        let known = self.0.entry(service.into()).or_default();
        known.steady.extend(hosts.iter().map(|host| (*host).to_owned()));
    }

    /// How many of the steady endpoints are not among these.
    pub(crate) fn lost(&self, service: &str, endpoints: &[&str]) -> usize {
        let steady = self.0.get(service).into_iter().flat_map(|known| &known.steady);
        steady.filter(|host| !endpoints.contains(&host.as_str())).count()
    }

    /// Whether this one is never to be missing.
    pub(crate) fn stays(&self, service: &str, host: &str) -> bool {
        self.0.get(service).is_some_and(|known| known.steady.contains(host))
    }

    /// Whether one of these was never listed.
    pub(crate) fn foreign(&self, service: &str, endpoints: &[&str]) -> bool {
        let ever = self.0.get(service).map(|known| &known.ever);
        endpoints.iter().any(|endpoint| ever.is_none_or(|ever| !ever.contains(*endpoint)))
    }

    /// How many writes of an entry its service is good for.
    pub(crate) fn needed(&self, service: &str) -> usize {
        self.0.get(service).map_or(0, |known| known.changes)
    }
}
