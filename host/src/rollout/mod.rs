//! Changes the module while everything runs: a candidate is compared with the active module over every entry. It becomes
//! active or is left to the operator, is tried on a share of the entries if that is wanted, and is rolled back if it fails.
//!
//! The engine knows none of this: it sees one [`ActiveModules::convert`].

mod active_modules;
mod carry_out;
mod command;
mod comparison;
mod controller;
mod endpoint_change;
mod evaluate;
mod evaluation;
mod first;
mod giver;
mod judged_outcome;
mod loader;
mod loading;
mod module_name;
mod module_set;
mod module_state;
mod module_status;
mod policy;
mod report;
mod rollout_stats;
mod shadow;
mod shared_state;
mod start;
mod strikes;

pub use command::{Command, Request};
pub use comparison::{Comparison, Status};
pub use endpoint_change::{Altered, EndpointChange, line};

pub use active_modules::{ActiveModules, Conversion, LastPublished, RolloutPhase};
pub use controller::RolloutController;
pub use giver::Giver;
pub use judged_outcome::JudgedOutcome;
pub use loader::compile;
pub use loading::{Loading, Process};
pub use module_name::{ModuleName, NoModuleName};
pub use module_state::{Canary, ModuleEvent, ModuleEventKind, ModuleRecord, ModuleState, PendingApproval, Refused};
pub use module_status::ModuleStatus;
pub use policy::{Decision, Policy};
pub use report::{EntryChange, Report};
pub use rollout_stats::{RolloutStats, SourceTrouble};
pub use shadow::{Engine, EntrySnapshot, EntrySnapshots};
pub use shared_state::{CommandRequest, CommandResponse, Forwarded, Paused, Question, Reply, SharedState};
pub use start::{Setup, StartError};
