//! What the controller tells while it works: counts, and Events on the entries. Whatever works calls one of [`Observers`] in a line.

mod condition;
mod events;
mod metrics;
mod series;

pub use condition::Condition;
pub use events::Events;
pub use metrics::Metrics;

use std::sync::Arc;

/// Those who hear of what the controller does.
#[derive(Clone, Default)]
pub struct Observers {
    pub metrics: Arc<Metrics>,
    /// Tells the entries' owners.
    pub events: Events,
}
