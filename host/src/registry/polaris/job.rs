//! One question and its answer, whichever way they go.

use std::sync::Arc;

use tokio::time::Instant;

use super::Address;
use crate::registry::decode::Decoded;
use crate::registry::subscriptions::Ticket;
use crate::registry::wire::request_body;
use crate::registry::{RegistryError, ServiceKey};

/// A question about one service, to one server.
#[derive(Debug)]
pub struct Question {
    pub service: Arc<ServiceKey>,
    pub address: Arc<Address>,
    /// The last revision that was seen; empty to be answered in full.
    pub revision: Arc<str>,
}

impl Question {
    /// The question as it goes by HTTP.
    pub fn body(&self) -> Vec<u8> {
        request_body(&self.service, &self.revision)
    }

    /// What errors call the answer.
    pub(super) fn origin(&self) -> String {
        format!("service {} at {}", self.service, self.address)
    }
}

/// The way of a question to a server, and of its answer back.
pub trait Ask: Clone + Send + Sync + 'static {
    /// Asks once, for as long as a question may take.
    fn ask(&self, question: &Question) -> impl Future<Output = Result<Decoded, RegistryError>> + Send;
}

/// A question, with the things that the scheduler wants back beside the answer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) question: Question,
    /// Under which subscription and in which term it is asked for, so that an answer that does not count any more is noticed.
    pub(super) ticket: Ticket,
    /// The period of trusting the server.
    pub(super) generation: u64,
    /// Its number among those that are under way.
    pub(super) number: u64,
    pub(super) asked: Instant,
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

/// Asks what a job is about.
pub(super) async fn answer(asker: impl Ask, job: Job) -> Done {
    let result = asker.ask(&job.question).await;
    Done::new(job, result)
}
