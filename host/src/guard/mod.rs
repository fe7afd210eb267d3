//! Stands between module and plan, and keeps a mesh whole whatever the registry or a module does.
//!
//! It holds back disappearances only. The clock is injected, so that it can be tested without one. It is native, and applies
//! to every module.

mod count;
mod dropped;
mod endpoint_port;
mod entry;
mod fleet;
mod gone;
mod ground;
mod guard_input;
mod hold;
mod holds;
mod instance_states;
mod loss;
mod merge;
mod most;
mod newcomers;
mod notice;
mod operator_fingerprint;
mod origin;
mod past;
mod recent;
mod settings;
#[cfg(test)]
mod tests;
mod told;
mod vanished;

pub use entry::Guard;
pub use fleet::{Alarm, Fleet};
pub use guard_input::{Decision, GuardInput, Release};
pub use hold::{Hold, Kind, Reason};
pub use holds::{AlarmNews, Holds};
pub use notice::{Notice, NoticeKind};
pub use origin::Origins;
pub use past::GuardRecord;
pub use settings::{HoldTime, Settings};
