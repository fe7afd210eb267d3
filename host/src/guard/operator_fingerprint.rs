//! The operators' doings that explain why a module gives other endpoints than before.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::guard_input::GuardInput;
use crate::annotation::is_for_modules;
use crate::istio::{Port, ServiceEntry};

/// A fingerprint of what operators did. If it differs at the next decision, they did something in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OperatorFingerprint {
    /// The number of promotions of modules.
    pub(super) promotions: u64,
    /// A hash of the fields that the entry's operator wrote.
    pub(super) entry: u64,
}

impl OperatorFingerprint {
    /// The fingerprint at this decision.
    pub(super) fn of(input: &GuardInput<'_>) -> Self {
        Self { promotions: input.promotions, entry: operators_hash(input.live) }
    }
}

/// A hash of the fields that the entry's operator wrote and a module may use: ports and annotations. Modules are given all
/// annotations, and an operator's own module may use any of them. But annotations that are ours, or for the host alone, are
/// no reason to drop an endpoint.
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
