//! What others see of a running controller: metrics, the status, probes, and Events on the entries.
//!
//! Whatever works calls one of [`Observers`] in a line; everything else is read when somebody asks. Nothing here is secret,
//! and no label has a value that grows with the number of entries, unless that is asked for.

mod collector;
mod events;
mod metrics;
mod process;
mod series;
mod server;
mod status;
mod view;

pub use collector::Collected;
pub use events::Events;
pub use metrics::Metrics;
pub use server::{HttpError, HttpServer, Opener};
pub use status::{EntryStatus, Held, Instances, LastWrite, Problem, Server, Status};
pub use view::View;

use std::sync::Arc;

/// Those who hear of what the controller does.
#[derive(Clone, Default)]
pub struct Observers {
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Tells the entries' owners.
    pub events: Events,
}
