//! What a registry reports.

use std::sync::Arc;

use polaris2istio_core::model::Service;
use tokio::time::Instant;

use super::{RegistryError, ServiceKey};

/// What the registry says of one service.
#[derive(Debug, Clone)]
pub enum News {
    /// The service exists, and this is its content: instances sorted by id, metadata sorted by key. An alias stands under
    /// the name that was asked for.
    Listed(Arc<Service>),
    /// The registry answered that there is no such service.
    Missing,
    /// No answer could be had or understood; the last one stands.
    Failed(Arc<RegistryError>),
}

/// News of one service.
#[derive(Debug, Clone)]
pub struct Report {
    /// Whose news.
    pub service: ServiceKey,
    /// The news.
    pub news: News,
    /// When the answer (or the failure) was received: the start of the way to the entry, for measuring it.
    pub received: Instant,
    /// The round of [`Pace`](super::Pace) in which it was asked for.
    pub round: u64,
}
