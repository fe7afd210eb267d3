//! The view of `module status`: the state that all replicas share, and what this one sees of the source.

use serde::{Deserialize, Serialize};

use super::{ModuleState, SourceTrouble};

/// The status of modules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleStatus {
    #[serde(flatten)]
    pub state: ModuleState,
    /// Why the source gives no module that can be used; `None` if it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_trouble: Option<SourceTrouble>,
}
