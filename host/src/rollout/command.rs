//! The operator's commands about modules.

use serde::{Deserialize, Serialize};

/// A command that the leader carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Compare the candidate with the active module over all entries, now.
    Diff,
    /// Make the candidate the active module, whatever its report says; also one that was refused.
    Promote,
    /// Drop the candidate, and do not propose it again.
    Reject,
    /// Go back to the module that was active before.
    Rollback,
}
