//! Between module and plan: what keeps a mesh whole whatever the registry or a module does.
//!
//! It holds back disappearances only, for a time that is injected, so that it can be tested without one. It is native,
//! and holds for any module.

mod budget;
mod deeds;
mod entry;
mod fleet;
mod hold;
mod holds;
mod listing;
mod merge;
mod origin;
mod pace;
mod place;
mod seen;
mod settings;
#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use entry::Guard;
pub use fleet::{Alarm, Fleet};
pub use hold::{Hold, Kind, Reason};
pub use holds::{AlarmNews, Holds};
pub use listing::Listing;
pub use origin::Origins;
pub use pace::Pace;
pub use seen::{Decision, Release, Seen};
pub use settings::{EMPTY_HOLD, HoldTime, MODULE_REMOVAL_LIMIT, PAUSED, REMOVAL_HOLD, Settings};
