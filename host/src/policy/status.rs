//! A policy's status: conditions, counts, and the services that got no entry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Refused services that a status names; the others are counted.
pub const REFUSED_NAMED: usize = 100;

/// The outcome of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportStatus {
    /// The generation of the policy that this is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// `Ready`: every selected service has its entry, and nothing is held. `Conflicts`: some services have none, since another
    /// entry has the name or the host.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Services that are selected.
    #[serde(default)]
    pub services: u32,
    /// Entries that are the policy's.
    #[serde(default)]
    pub entries: u32,
    /// Services without an entry.
    #[serde(default)]
    pub refused: u32,
    /// Entries whose service is gone, or selected no more.
    #[serde(default)]
    pub gone: u32,
    /// The first of the refused services, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_services: Vec<RefusedService>,
}

/// A condition, as Kubernetes has them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Ready` or `Conflicts`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// A sentence, with what to do.
    pub message: String,
    /// When `status` became what it is.
    pub last_transition_time: String,
    /// The generation of the policy that this is about.
    #[serde(default)]
    pub observed_generation: i64,
}

/// A service that got no entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedService {
    /// Its name in the registry.
    pub service: String,
    /// Why, with what to do.
    pub reason: String,
}
