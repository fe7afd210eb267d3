//! The shared document.

use serde::{Deserialize, Serialize};

use crate::control::{Command, Reply};
use crate::converter::swap::Ledger;
use crate::lenient;

/// All that is shared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Which modules are in use, and what happened to others.
    pub module: Ledger,
    /// Nothing is written while this is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// A command that a replica was given and the leader is to carry out.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::option")]
    pub request: Option<Sent>,
    /// The leader's answer to the last one.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::option")]
    pub answer: Option<Answered>,
}

/// All writes are stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paused {
    /// Since when.
    pub since: jiff::Timestamp,
    /// Why, in the words of who did it.
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
pub struct Sent {
    /// Tells it from others.
    pub id: u64,
    /// What is to be done.
    pub command: Command,
}

/// An answer on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// To which command.
    pub id: u64,
    /// What came of it.
    pub reply: Reply,
}
