//! Services that may be the cause of a stream's end, and those whose answers are slow: a stream answers in order, so that all
//! others would wait for them. Each is asked on a connection of its own, until that goes well.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt, once};
use tokio::time::{Instant, timeout};
use tonic::Status;

use super::connect::Connection;
use super::exchange::{self, decode_for, request};
use super::status::{self, dropped};
use crate::registry::polaris::PolarisConfig;
use crate::registry::polaris::job::{Done, Job};
use crate::registry::polaris::large::Large;
use crate::registry::polaris::token::Headers;
use crate::registry::{RegistryError, ServiceKey};

/// As many at once; each may hang for as long as an answer may take.
const AT_ONCE: usize = 4;

/// With more than these, it is not the services that are at fault.
const MANY: usize = 64;

/// The others on a stream wait no longer than this for one answer, but for the first of a service that is slow.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Suspects {
    services: HashSet<Arc<ServiceKey>>,
    asked: FuturesUnordered<BoxFuture<'static, Alone>>,
    waiting: VecDeque<BoxFuture<'static, Alone>>,
}

/// An answer to a question that was asked alone, and how long it took.
struct Alone {
    done: Done,
    took: Duration,
}

impl Suspects {
    /// Whether a service is asked alone.
    pub(super) fn has(&self, service: &Arc<ServiceKey>) -> bool {
        self.services.contains(service)
    }

    /// A service was waited for when the stream broke, for this reason.
    pub(super) fn suspect(&mut self, job: &Job, error: RegistryError) -> RegistryError {
        self.set_apart(job);
        error
    }

    /// The others on the stream waited so long for the answer of a service.
    pub(super) fn note_wait(&mut self, job: &Job, waited: Duration) {
        if waited > SLOW {
            self.set_apart(job);
        }
    }

    fn set_apart(&mut self, job: &Job) {
        if self.services.len() >= MANY {
            self.services.clear();
        }
        self.services.insert(Arc::clone(&job.question.service));
    }

    /// Whether one is being asked.
    pub(super) fn any(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Asks alone; the answer comes by [`Self::next`].
    pub(super) fn ask(&mut self, job: Job, with: (&Arc<PolarisConfig>, &Arc<Headers>, &Large)) {
        let (config, headers, large) = (Arc::clone(with.0), Arc::clone(with.1), with.2.clone());
        self.waiting.push_back(Box::pin(alone(job, config, headers, large)));
        self.fill();
    }

    fn fill(&mut self) {
        while self.asked.len() < AT_ONCE
            && let Some(next) = self.waiting.pop_front()
        {
            self.asked.push(next);
        }
    }

    /// The next answer; `None` if nothing is asked.
    pub(super) async fn next(&mut self) -> Option<Done> {
        let Alone { done, took } = self.asked.next().await?;
        if took <= SLOW && matches!(done.result, Some(Ok(_))) {
            self.services.remove(&done.job.question.service);
        }
        self.fill();
        Some(done)
    }
}

async fn alone(job: Job, config: Arc<PolarisConfig>, headers: Arc<Headers>, large: Large) -> Alone {
    let begun = Instant::now();
    let answered = timeout(config.total_timeout, exchange_alone(&job, &config, &headers, &large)).await;
    let result = answered.unwrap_or_else(|_| {
        let (service, address) = ((*job.question.service).clone(), job.question.address.to_string());
        Err(RegistryError::TimedOut { service, address, after: config.total_timeout })
    });
    Alone { done: Done::new(job, result), took: begun.elapsed() }
}

async fn exchange_alone(
    job: &Job,
    config: &PolarisConfig,
    headers: &Headers,
    large: &Large,
) -> Result<crate::registry::decode::Decoded, RegistryError> {
    let meaning = |status: Status| status::meaning(&status, &job.question, config.body_limit);
    let connection = Connection::open(&job.question.address, config).await?;
    let question = request(job);
    let requests = once(async { question });
    let opened = exchange::open(connection, &job.question.address, headers.token(), config.body_limit, requests).await;
    match opened.map_err(meaning)?.message().await.map_err(meaning)? {
        Some(answer) => decode_for(job, answer, large).await.0,
        None => Err(dropped(&job.question, "the server ended the stream without an answer")),
    }
}
