//! The conversation with one server: one stream for all services, on which questions are answered first in, first out.
//!
//! A server keeps something of each request until its stream ends (1.18.1 some 1.7 KB), so the stream is ended and opened again
//! every now and then. When one breaks, the service that was waited for may be the cause: it is asked alone from then on, on a
//! connection of its own, so that it cannot stop the others.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc::{UnboundedSender as Requests, unbounded};
use reqwest::header::HeaderValue;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep_until};
use tonic::{Status, Streaming};

use super::connect::Connection;
use super::exchange::{self, decode_for, request};
use super::message::DiscoverRequest;
use super::status::{self, Concerns, concerns};
use super::suspects::Suspects;
use crate::registry::RegistryError;
use crate::registry::polaris::job::{Done, Job};
use crate::registry::polaris::large::Large;
use crate::registry::polaris::token::Headers;
use crate::registry::polaris::{Address, PolarisConfig};

/// Requests on one stream.
const REQUESTS: RangeInclusive<usize> = 5_000..=10_000;

/// A stream on which nothing is asked for so long is ended: its keep-alive would be an offence to the server.
const IDLE: Duration = Duration::from_secs(15);

/// The conversation with one server.
pub(in crate::registry::polaris) struct Conversation {
    address: Arc<Address>,
    config: Arc<PolarisConfig>,
    headers: Arc<Headers>,
    large: Large,
    jobs: UnboundedReceiver<Job>,
    done: UnboundedSender<Done>,
    connection: Option<Connection>,
    /// Questions that were not answered yet, in their order, with when each was sent.
    waiting: VecDeque<(Job, Instant)>,
    suspects: Suspects,
}

/// A stream, as far as it is open.
struct Stream {
    /// The sending half, until it is ended.
    requests: Option<Requests<DiscoverRequest>>,
    token: Option<HeaderValue>,
    /// How many requests may still be made.
    left: usize,
    /// When the last answer came.
    answered: Instant,
}

/// Why a stream ended before its time.
enum Broken {
    Status(Status),
    /// Nothing can be asked there.
    Server(RegistryError),
    /// The fault is of the answer that was waited for.
    First(RegistryError),
}

impl Conversation {
    pub(in crate::registry::polaris) fn new(
        address: Arc<Address>,
        config: Arc<PolarisConfig>,
        (headers, large): (Arc<Headers>, Large),
        (jobs, done): (UnboundedReceiver<Job>, UnboundedSender<Done>),
    ) -> Self {
        Self {
            address,
            config,
            headers,
            large,
            jobs,
            done,
            connection: None,
            waiting: VecDeque::new(),
            suspects: Suspects::default(),
        }
    }

    /// Answers jobs until there will be no more of them.
    pub(in crate::registry::polaris) async fn run(mut self) {
        while self.has_jobs().await {
            if let Err(broken) = self.talk().await {
                self.connection = None;
                self.broken(broken);
            }
        }
        while let Some(done) = self.suspects.next().await {
            self.tell(done);
        }
    }

    /// Waits for a job for the stream; it stands in the queue then.
    async fn has_jobs(&mut self) -> bool {
        loop {
            tokio::select! {
                job = self.jobs.recv() => {
                    let Some(job) = job else { return false };
                    if self.take(job) {
                        return true;
                    }
                }
                Some(done) = self.suspects.next(), if self.suspects.any() => self.tell(done),
            }
        }
    }

    /// Puts a job into the queue, unless its service is asked alone.
    fn take(&mut self, job: Job) -> bool {
        if self.suspects.has(&job.question.service) {
            self.suspects.ask(job, (&self.config, &self.headers, &self.large));
            return false;
        }
        self.waiting.push_back((job, Instant::now()));
        true
    }

    fn tell(&self, done: Done) {
        // Nobody waits any more where nobody follows.
        let _ = self.done.send(done);
    }

    /// Opens a stream and asks on it, until it has ended in good order.
    async fn talk(&mut self) -> Result<(), Broken> {
        let connection = self.connected().await.map_err(Broken::Server)?;
        let (sender, receiver) = unbounded();
        let token = self.headers.token();
        let (address, limit) = (Arc::clone(&self.address), self.config.body_limit);
        let opening = exchange::open(connection, &address, token.clone(), limit, receiver);
        let mut opening = pin!(opening);
        let left = rand::random_range(REQUESTS);
        let mut stream = Stream { requests: Some(sender), token, left, answered: Instant::now() };
        self.waiting.iter().for_each(|(job, _)| stream.send(job));
        let mut answers: Option<Streaming<Bytes>> = None;
        loop {
            if stream.left == 0 {
                stream.requests = None;
            }
            let deadline = self.deadline(&stream);
            tokio::select! {
                job = self.jobs.recv(), if stream.requests.is_some() => match job {
                    Some(job) => self.ask(job, &mut stream),
                    None => stream.requests = None,
                },
                opened = &mut opening, if answers.is_none() => answers = Some(opened.map_err(Broken::Status)?),
                answer = next(&mut answers), if answers.is_some() => match answer.map_err(Broken::Status)? {
                    Some(answer) => self.answered(answer, &mut stream).await?,
                    None if self.waiting.is_empty() => return Ok(()),
                    None => return Err(Broken::Status(Status::unavailable("the server ended the stream"))),
                },
                Some(done) = self.suspects.next(), if self.suspects.any() => self.tell(done),
                () = sleep_until(deadline) => match self.waiting.is_empty() {
                    true if stream.requests.is_some() => stream.requests = None,
                    // The server does not end its half.
                    true => return Ok(()),
                    false => return Err(self.timed_out()),
                },
            }
        }
    }

    /// Asks on the stream, and for all else that is to be asked by now.
    fn ask(&mut self, job: Job, stream: &mut Stream) {
        let mut next = Some(job);
        while let Some(job) = next.take() {
            if self.take(job)
                && let Some((job, _)) = self.waiting.back()
            {
                stream.send(job);
            }
            if stream.left > 0 {
                next = self.jobs.try_recv().ok();
            }
        }
    }

    /// When the first question must be answered; without one, when there is nothing more to wait for.
    fn deadline(&self, stream: &Stream) -> Instant {
        match self.waiting.front() {
            Some((_, asked)) => stream.answered.max(*asked) + self.config.total_timeout,
            None => stream.answered + IDLE,
        }
    }

    /// An answer came, to the question that waits longest; others may have come with it.
    async fn answered(&mut self, answer: Bytes, stream: &mut Stream) -> Result<(), Broken> {
        let before = std::mem::replace(&mut stream.answered, Instant::now());
        let Some((job, asked)) = self.waiting.pop_front() else {
            return Err(Broken::Status(Status::internal("it answers more than it was asked")));
        };
        self.suspects.note_wait(&job, stream.answered - before.max(asked));
        let (mut result, misplaced) = decode_for(&job, answer, &self.large).await;
        if misplaced && let Err(error) = result {
            // Answers and questions do not go together any more.
            self.waiting.push_front((job, asked));
            return Err(Broken::First(error));
        }
        if matches!(result, Err(RegistryError::Denied { .. })) {
            match self.headers.renew(stream.token.as_ref()).await {
                Ok(true) => {
                    // The token is of the stream; another stream has the new one.
                    stream.requests = None;
                    self.tell(Done::lost(job));
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) => result = Err(error),
            }
        }
        self.tell(Done::new(job, result));
        Ok(())
    }

    async fn connected(&mut self) -> Result<Connection, RegistryError> {
        if let Some(connection) = self.connection.take_if(|connection| !connection.is_closed()) {
            self.connection = Some(connection.clone());
            return Ok(connection);
        }
        let connection = Connection::open(&self.address, &self.config).await?;
        Ok(self.connection.insert(connection).clone())
    }

    fn timed_out(&self) -> Broken {
        let Some((job, _)) = self.waiting.front() else { return Broken::Status(Status::internal("nothing was asked")) };
        let (service, address) = ((*job.question.service).clone(), job.question.address.to_string());
        Broken::First(RegistryError::TimedOut { service, address, after: self.config.total_timeout })
    }

    /// The stream is gone, with all questions that were on it.
    fn broken(&mut self, broken: Broken) {
        if let Broken::Status(status) = &broken
            && concerns(status) == Concerns::All
        {
            for (job, _) in std::mem::take(&mut self.waiting) {
                let error = status::meaning(status, &job.question, self.config.body_limit);
                self.tell(Done::new(job, Err(error)));
            }
            return;
        }
        if let Some((job, _)) = self.waiting.pop_front() {
            let error = match broken {
                Broken::Server(error) => error,
                Broken::First(error) => self.suspects.suspect(&job, error),
                Broken::Status(status) => {
                    self.suspects.suspect(&job, status::meaning(&status, &job.question, self.config.body_limit))
                }
            };
            self.tell(Done::new(job, Err(error)));
        }
        for (job, _) in std::mem::take(&mut self.waiting) {
            self.tell(Done::lost(job));
        }
    }
}

impl Stream {
    fn send(&mut self, job: &Job) {
        self.left = self.left.saturating_sub(1);
        if let Some(requests) = &self.requests {
            // The receiving half goes with the stream, which tells it.
            let _ = requests.unbounded_send(request(job));
        }
    }
}

/// The next answer.
async fn next(answers: &mut Option<Streaming<Bytes>>) -> Result<Option<Bytes>, Status> {
    match answers {
        Some(answers) => answers.message().await,
        None => std::future::pending().await,
    }
}
