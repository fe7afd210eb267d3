//! The operators' doings that explain why a module gives other endpoints than before.

use super::guard_input::GuardInput;
use crate::annotation::is_for_modules;
use crate::hash::hash;
use crate::istio::{Port, ServiceEntry};

/// A fingerprint of what operators did. If it differs at the next decision, they did something in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OperatorFingerprint {
    /// The number of the last promotion of a module that gave an answer.
    pub(super) promotion: u64,
    /// The module that gave the answer.
    pub(super) module: u64,
    /// A hash of the fields that the entry's operator wrote.
    pub(super) entry: u64,
}

impl OperatorFingerprint {
    /// The fingerprint at this decision, after an earlier one.
    pub(super) fn of(input: &GuardInput<'_>, earlier: Option<Self>) -> Self {
        let promotion = earlier.map_or(0, |earlier| earlier.promotion).max(input.promotion);
        Self { promotion, module: input.module, entry: operators_hash(input.live) }
    }
}

/// A hash of the fields that the entry's operator wrote and a module may use: ports and annotations. Modules are given all
/// annotations, and an operator's own module may use any of them. But annotations that are ours, or for the host alone, are
/// no reason to drop an endpoint.
fn operators_hash(entry: &ServiceEntry) -> u64 {
    let declared = |port: &&Port| entry.ownership.others_of_port(&port.name).next().is_some();
    let ports = entry.spec.ports.iter().filter(declared);
    let ports: Vec<_> = ports.map(|port| (&port.name, port.number, &port.protocol, port.target_port)).collect();
    let annotations = entry.metadata.annotations.iter().flatten();
    hash((ports, annotations.filter(|(key, _)| is_for_modules(key)).collect::<Vec<_>>()))
}
