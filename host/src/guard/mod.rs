//! Stands between module and plan, and keeps a mesh whole whatever the registry or a module does.
//!
//! It holds back disappearances only. The clock is injected, so that it can be tested without one. It is native, and applies
//! to every module.

mod endpoint_port;
mod entry;
mod fleet;
mod guard_input;
mod hold;
mod holds;
mod instance_states;
mod loss;
mod merge;
mod operator_fingerprint;
mod origin;
mod settings;
#[cfg(test)]
mod tests;

pub use entry::Guard;
pub use fleet::{Alarm, Fleet};
pub use guard_input::{Decision, GuardInput, Release};
pub use hold::{Hold, Kind, Reason};
pub use holds::{AlarmNews, Holds};
pub use origin::Origins;
pub use settings::{HoldTime, Settings};
