//! What people do that explains why a module gives other endpoints than it gave.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::guard_input::GuardInput;
use crate::annotation::is_for_modules;
use crate::istio::{Port, ServiceEntry};

/// The sum of it by one decision; another sum by the next one tells that something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OperatorFingerprint {
    /// How often one of them has promoted a module.
    pub(super) promotions: u64,
    /// A hash of what the entry's operator wrote.
    pub(super) entry: u64,
}

impl OperatorFingerprint {
    /// By this decision.
    pub(super) fn of(seen: &GuardInput<'_>) -> Self {
        Self { promotions: seen.promotions, entry: operators_hash(seen.live) }
    }
}

/// A hash of what the entry's operator wrote and a module may convert by: ports and annotations. Modules are given all
/// annotations, and one of a person's own may go by any of them; but those that are ours, or for the host alone, are no
/// reason to drop an endpoint.
fn operators_hash(entry: &ServiceEntry) -> u64 {
    let mut hasher = DefaultHasher::new();
    let declared = |port: &&Port| entry.ownership.others_of_port(&port.name).next().is_some();
    for port in entry.spec.ports.iter().filter(declared) {
        (&port.name, port.number, &port.protocol, port.target_port).hash(&mut hasher);
    }
    let annotations = entry.metadata.annotations.iter().flatten();
    annotations.filter(|(key, _)| is_for_modules(key)).for_each(|pair| pair.hash(&mut hasher));
    hasher.finish()
}
