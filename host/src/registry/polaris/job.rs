//! One question and its answer, whichever way they go.

use std::sync::Arc;

use tokio::time::Instant;

use super::Address;
use crate::registry::decode::Decoded;
use crate::registry::subscriptions::Ticket;
use crate::registry::{RegistryError, ServiceKey};

/// A question, with the things that the scheduler wants back beside the answer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) service: Arc<ServiceKey>,
    /// Under which subscription and in which term it is asked for, so that an answer that does not count any more is noticed.
    pub(super) ticket: Ticket,
    /// Which server, and which period of trusting it.
    pub(super) address: Arc<Address>,
    pub(super) generation: u64,
    /// The last revision that was seen; empty to be answered in full.
    pub(super) revision: Arc<str>,
}

impl Job {
    /// What errors call the answer.
    pub(super) fn origin(&self) -> String {
        format!("service {} at {}", self.service, self.address)
    }
}

/// A job with its answer.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) job: Job,
    /// `None` if its request went down with another's, which says nothing of this one.
    pub(super) result: Option<Result<Decoded, RegistryError>>,
    pub(super) received: Instant,
}

impl Done {
    pub(super) fn new(job: Job, result: Result<Decoded, RegistryError>) -> Self {
        Self { job, result: Some(result), received: Instant::now() }
    }

    pub(super) fn lost(job: Job) -> Self {
        Self { job, result: None, received: Instant::now() }
    }
}
