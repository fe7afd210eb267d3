//! News that the controller tells while it works: counts, and Events on the entries. Whatever works calls one of [`Observers`] in a line.

mod condition;
mod events;
mod metrics;
mod series;

pub use condition::Condition;
pub use events::Events;
pub use metrics::Metrics;

use std::sync::Arc;

/// The metrics and the Events of one process.
#[derive(Clone, Default)]
pub struct Observers {
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// News for the entries' owners.
    pub events: Events,
}
