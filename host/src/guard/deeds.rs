//! What people do that explains why a module gives other endpoints than it gave.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::seen::Seen;
use super::settings::{OVERRIDES, PAUSED};
use crate::istio::{Port, ServiceEntry};
use crate::names::{DNS, DNS_TARGET};
use crate::plan::{MODULE_PREFIX, REVISION};

/// The sum of it by one decision; another sum by the next one tells that something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deeds {
    /// How often one of them has promoted a module.
    pub(super) promotions: u64,
    /// A hash of what the entry's operator wrote.
    pub(super) entry: u64,
}

impl Deeds {
    /// By this decision.
    pub(super) fn of(seen: &Seen<'_>) -> Self {
        Self { promotions: seen.promotions, entry: operators_hash(seen.live) }
    }
}

/// Annotations that are for other parts of the host, or written by it.
const OURS: [&str; 4] = [REVISION, PAUSED, DNS, DNS_TARGET];

/// kubectl's copy of all that was applied: it changes with whatever an apply changes, and says nothing of its own.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A hash of what the entry's operator wrote and a module may convert by: ports and annotations. Modules are given all
/// annotations, and one of a person's own may go by any of them; but those that are ours, or for the host alone, are no
/// reason to drop an endpoint.
fn operators_hash(entry: &ServiceEntry) -> u64 {
    let mut hasher = DefaultHasher::new();
    let declared = |port: &&Port| entry.ownership.others_of_port(&port.name).next().is_some();
    for port in entry.spec.ports.iter().filter(declared) {
        (&port.name, port.number, &port.protocol, port.target_port).hash(&mut hasher);
    }
    let ours = |key: &str| OURS.contains(&key) || OVERRIDES.contains(&key) || key.starts_with(MODULE_PREFIX);
    let annotations = entry.metadata.annotations.iter().flatten();
    annotations.filter(|(key, _)| !ours(key) && *key != APPLIED).for_each(|pair| pair.hash(&mut hasher));
    hasher.finish()
}
