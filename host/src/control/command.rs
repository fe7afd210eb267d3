//! Commands and their answers, as they go over the socket and through the shared state.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::converter::swap;

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
    /// Something about the candidate or the active module.
    Module(swap::Command),
    /// Let go what an entry holds, given as `namespace/name`, or what all hold.
    Release(Option<String>),
    /// Stop every write of all replicas, for a reason.
    Pause(String),
    /// Let writes go again.
    Resume,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It was done; with what there is to say.
    Done(Value),
    /// It was not, and why.
    Refused(String),
}

impl From<Result<Value, String>> for Reply {
    fn from(result: Result<Value, String>) -> Self {
        result.map_or_else(Self::Refused, Self::Done)
    }
}
