//! The document that all replicas share: the modules in use, a pause, and commands on their way to the leader.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Command, Giver, ModuleState};
use crate::guard::GuardRecord;
use crate::lenient;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SharedState {
    /// The modules in use, and the history of others.
    pub module: ModuleState,
    /// Nothing is written while this is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// What the guard of the next leader is to know; `None` if that was lost, or is of a release that wrote it otherwise.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::option")]
    pub guard: Option<GuardRecord>,
    /// A command that a replica received and the leader is to carry out.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::option")]
    pub request: Option<CommandRequest>,
    /// The leader's answer to the last one.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::option")]
    pub answer: Option<CommandResponse>,
}

/// All writes are stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paused {
    pub since: Timestamp,
    /// The reason, in the words of the operator.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl std::fmt::Display for Paused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "all writes are paused since {}", self.since)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

/// A command on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandRequest {
    /// Distinguishes it from other commands.
    pub id: u64,
    /// Nobody waits for it any longer than this, and so it is not carried out later.
    pub until: Timestamp,
    #[serde(default)]
    pub by: Giver,
    pub command: Forwarded,
}

/// An answer on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandResponse {
    pub id: u64,
    pub reply: Reply,
}

/// A command that only the leader can carry out. All others any replica carries out itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarded {
    /// A command about the candidate or the active module.
    Module(Command),
    /// Release the holds of one entry, given as `namespace/name`, or of all.
    Release(Option<String>),
    /// Answer a question, and change nothing.
    Ask(Question),
}

/// A question that only the leader can answer: another replica does not know what is held or wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Why is an entry, given as `namespace/name`, as it is?
    Explain(String),
    /// The last changes, of one entry or of all.
    History(Option<String>),
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It was carried out; with its result.
    Done(Value),
    /// It was refused; with the reason.
    Refused(String),
}

impl From<Result<Value, String>> for Reply {
    fn from(result: Result<Value, String>) -> Self {
        result.map_or_else(Self::Refused, Self::Done)
    }
}

#[cfg(test)]
mod tests;
