//! Changes the module while everything runs: a candidate is compared with the active module over every entry, taken or
//! left for a person to decide, tried on a share of the entries where that is wanted, and taken back when it fails.
//!
//! The engine knows none of this: it sees one [`Live::convert`].

mod commands;
mod comparison;
mod endpoint_change;
mod identity;
mod ledger;
mod lineup;
mod live;
mod loader;
mod offer;
mod policy;
mod report;
mod said;
mod shadow;
mod start;
mod swapper;

pub use commands::Command;
pub use comparison::{Comparison, Status};
pub use endpoint_change::{Altered, EndpointChange, line};
pub use identity::Identity;
pub use ledger::{Canary, Event, Happening, Ledger, Named, Refused, Waiting};
pub use live::{Given, Live, Memory, Turn};
pub use loader::compile;
pub use policy::{Decision, Policy};
pub use report::{EntryChange, Report};
pub use said::Said;
pub use shadow::{Engine, Subject, Subjects};
pub use start::{Setup, StartError};
pub use swapper::{Request, Swapper};
