//! The operator's commands about modules.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{Giver, ModuleName};

/// A command that the leader carries out. What a person decides names the module that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Compare the candidate with the active module over all entries, now.
    Diff,
    /// Make a candidate the active module, whatever its report says; also one that was refused. The active one is approved in
    /// what it does.
    Promote(ModuleName),
    /// Drop a candidate, and do not propose it again.
    Reject(ModuleName),
    /// Go back to a module that was active before.
    Rollback(ModuleName),
}

/// A command on its way to the one that carries it out. One whose giver waits no longer is not carried out.
pub struct Request {
    pub command: Command,
    pub by: Giver,
    /// The sender of the answer.
    pub reply: oneshot::Sender<Result<Value, String>>,
}
