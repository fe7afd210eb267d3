//! Commands, as they go over the socket. What the leader alone can do goes on through the shared state.

use serde::{Deserialize, Serialize};

use crate::rollout::Forwarded;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// All that this replica knows of entries and registry.
    Status,
    /// Which modules are in use, and which wait.
    ModuleStatus,
    /// What happened to modules.
    ModuleHistory,
    /// Stop every write of all replicas, for a reason.
    Pause(String),
    /// Let writes go again.
    Resume,
    /// What the leader alone can do.
    #[serde(untagged)]
    Forwarded(Forwarded),
}
