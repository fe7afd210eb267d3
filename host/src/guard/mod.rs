//! Between module and plan: what keeps a mesh whole whatever the registry or a module does.
//!
//! It holds back disappearances only, for a time that is injected, so that it can be tested without one. It is native,
//! and holds for any module.

mod budget;
mod hold;
mod pace;

pub use budget::Budget;
pub use hold::{EmptyHold, Guard, Hold, Listed, Reason};
pub use pace::Pace;
