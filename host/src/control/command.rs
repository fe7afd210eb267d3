//! Commands, as they go over the socket. Those for the leader alone go on through the shared state.

use serde::{Deserialize, Serialize};

use crate::rollout::Forwarded;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Show the state of this replica's entries and registry.
    Status,
    /// Show the modules that are in use, and those that wait.
    ModuleStatus,
    /// Show the history of modules.
    ModuleHistory,
    /// Show the registry's last answer for a service, given as `namespace/name`.
    Answer(String),
    /// Show an entry, given as `namespace/name`, with all that its conversion depends on.
    Capture(String),
    /// Stop every write of all replicas, for a reason.
    Pause(String),
    /// Let writes go on.
    Resume,
    /// A command for the leader alone.
    #[serde(untagged)]
    Forwarded(Forwarded),
}
