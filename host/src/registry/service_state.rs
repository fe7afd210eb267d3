//! The state of one service, as far as it was heard of.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Content, RegistryError, ServiceKey};

/// The state of a service, as heard since it was subscribed to.
#[derive(Debug, Clone, Default)]
pub struct ServiceState {
    /// The last sound answer; `None` if there was none yet.
    pub last: Option<LastAnswer>,
    /// The trouble with it, beside which the last answer stands; `None` if the last try was sound.
    pub trouble: Option<Trouble>,
}

/// The last sound answer.
#[derive(Debug, Clone)]
pub struct LastAnswer {
    /// Its content.
    pub content: Content,
    /// When the answer came that was last reported: the start of the way to the entry, for measuring it.
    pub received: Instant,
    /// How many sound answers there were, this one included. Those that only agree are counted without a report, so that a
    /// reader can ask whether the registry still means what it said.
    pub count: u64,
    /// The term of [`PollMode`](super::PollMode) in which it was asked for.
    pub term: u64,
}

/// The trouble with a service that cannot be asked now. Its last answer stands.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The last error.
    pub error: Arc<RegistryError>,
    /// When it began.
    pub since: Instant,
}

/// Something was heard of a service.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which service.
    pub service: Arc<ServiceKey>,
    /// Its state now.
    pub state: ServiceState,
    /// Whether an answer was heard; else it was a failure, and the last answer stands.
    pub answered: bool,
}
