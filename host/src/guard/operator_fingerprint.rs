//! The deeds of operators that explain why a module gives other endpoints than it gave.

use super::guard_input::GuardInput;
use crate::annotation::is_for_modules;
use crate::hash::hash;
use crate::istio::{Port, ServiceEntry};

/// A fingerprint of what operators did; if it differs at the next decision, they did something in between.
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
    let declared = |port: &&Port| entry.ownership.others_of_port(&port.name).next().is_some();
    let ports = entry.spec.ports.iter().filter(declared);
    let ports: Vec<_> = ports.map(|port| (&port.name, port.number, &port.protocol, port.target_port)).collect();
    let annotations = entry.metadata.annotations.iter().flatten();
    hash((ports, annotations.filter(|(key, _)| is_for_modules(key)).collect::<Vec<_>>()))
}
