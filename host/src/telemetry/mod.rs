//! News that the controller tells while it works: counts, Events on the entries, and the last changes. Whatever works calls one of [`Observers`] in a line.

mod condition;
mod events;
mod history;
mod metrics;
mod series;

pub use condition::Condition;
pub use events::Events;
pub use history::{History, HistoryEvent, HistoryKind};
pub use metrics::Metrics;

use std::sync::Arc;

/// The metrics, the Events and the last changes of one process.
#[derive(Clone, Default)]
pub struct Observers {
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// News for the entries' owners.
    pub events: Events,
    /// The last changes, for those who ask what happened.
    pub history: Arc<History>,
}
