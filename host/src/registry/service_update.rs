//! What a registry reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use polaris2istio_core::model::Service;
use tokio::time::Instant;

use super::{RegistryError, ServiceKey};

/// What the registry says of one service.
#[derive(Debug, Clone)]
pub enum ServiceUpdate {
    /// The service exists, and this is its content: instances sorted by id, metadata sorted by key. An alias stands under
    /// the name that was asked for.
    Listed(Arc<Service>),
    /// The registry answered that there is no such service.
    Missing,
    /// No answer could be had or understood; the last one stands.
    Failed(Arc<RegistryError>),
}

/// How many answers in a row have said the same. It goes on counting after it was reported, so that a receiver can ask
/// whether a registry still means what it said, without a report for every answer.
#[derive(Debug, Clone, Default)]
pub struct Confirmations(Arc<AtomicU64>);

impl Confirmations {
    /// The number so far; at least one once there was an answer.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether both count the same answers.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn another(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// ServiceUpdate of one service.
#[derive(Debug, Clone)]
pub struct Report {
    pub service: ServiceKey,
    pub news: ServiceUpdate,
    /// How many answers have said the same as the last sound one.
    pub confirmations: Confirmations,
    /// When the answer (or the failure) was received: the start of the way to the entry, for measuring it.
    pub received: Instant,
    /// The term of [`PollMode`](super::PollMode) in which it was asked for.
    pub term: u64,
}
