//! The way of questions and answers: by HTTP or by gRPC, as the address says or as is found out.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::address::Protocol;
use super::grpc::{Conversation, find};
use super::http::Asker;
use super::job::{Ask, Done, Job, answer};
use super::large::Large;
use super::token::Headers;
use super::{Address, PolarisConfig};
use crate::registry::RegistryError;

/// Questions under way by gRPC. The server answers them one after the other, some ten thousand a second.
const GRPC_AT_ONCE: usize = 1_024;

/// The part of the interval, at most, for which requests are gathered.
const BATCHES_PER_INTERVAL: u32 = 5;

/// What the ways to servers need, before any is gone.
#[derive(Debug)]
pub(super) struct Ways<A> {
    headers: Arc<Headers>,
    large: Large,
    asker: A,
    /// Whether all goes by the asker, whatever the addresses say.
    asks_only: bool,
}

impl Ways<Asker> {
    /// By HTTP and gRPC.
    pub(super) fn new(config: &PolarisConfig) -> Result<Self, RegistryError> {
        let (headers, large) = (Arc::new(Headers::new(&config.token)?), Large::default());
        let asker = Asker::new(config, Arc::clone(&headers), large.clone())?;
        Ok(Self { headers, large, asker, asks_only: false })
    }
}

impl<A> Ways<A> {
    /// By an asker alone.
    pub(super) fn by(asker: A) -> Self {
        Self { headers: Arc::default(), large: Large::default(), asker, asks_only: true }
    }
}

/// All ways to all servers, and the questions that are under way.
pub(super) struct Transport<A> {
    config: Arc<PolarisConfig>,
    ways: Ways<A>,
    /// What speaks at addresses that do not say it themselves.
    found: Vec<(Arc<Address>, Protocol)>,
    asked: FuturesUnordered<BoxFuture<'static, Came>>,
    conversations: Vec<(Arc<Address>, UnboundedSender<Job>)>,
    tasks: JoinSet<()>,
    answers: (UnboundedSender<Done>, UnboundedReceiver<Done>),
    under_way: usize,
}

/// The outcome of a future.
enum Came {
    Done(Done),
    /// The same of one that was asked by HTTP without knowing.
    Guessed(Done),
    /// It is known now what speaks at the job's address.
    Found(Job, Protocol),
}

impl<A: Ask> Transport<A> {
    pub(super) fn new(config: &Arc<PolarisConfig>, ways: Ways<A>) -> Self {
        Self {
            config: Arc::clone(config),
            ways,
            found: Vec::new(),
            asked: FuturesUnordered::new(),
            conversations: Vec::new(),
            tasks: JoinSet::new(),
            answers: unbounded_channel(),
            under_way: 0,
        }
    }

    /// How many questions are under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// How many may be under way to a server; one until it is known how to speak to it.
    pub(super) fn room(&self, address: &Arc<Address>) -> usize {
        match self.protocol(address) {
            Some(Protocol::Grpc) => GRPC_AT_ONCE,
            Some(Protocol::Http) => self.config.concurrency.max(1),
            None => 1,
        }
    }

    /// Requests a second that a server may get.
    pub(super) fn rate(&self, address: &Arc<Address>) -> u32 {
        self.config.rate(self.protocol(address).unwrap_or(Protocol::Http))
    }

    /// For how long requests to a server are gathered. By HTTP each goes by itself.
    pub(super) fn batch(&self, address: &Arc<Address>) -> Duration {
        match self.protocol(address) {
            Some(Protocol::Grpc) => self.config.batch.min(self.config.interval / BATCHES_PER_INTERVAL),
            _ => Duration::ZERO,
        }
    }

    fn protocol(&self, address: &Arc<Address>) -> Option<Protocol> {
        if self.ways.asks_only {
            return Some(Protocol::Http);
        }
        let found = || self.found.iter().find(|(known, _)| Arc::ptr_eq(known, address)).map(|(_, protocol)| *protocol);
        address.protocol().or_else(found)
    }

    /// Asks; the answer comes by [`Self::next`].
    pub(super) fn ask(&mut self, job: Job) {
        self.under_way += 1;
        match self.protocol(&job.question.address) {
            Some(protocol) => self.send(job, protocol),
            None => {
                let (config, asker) = (Arc::clone(&self.config), self.ways.asker.clone());
                self.asked.push(Box::pin(async move {
                    match find(&job.question.address, &config).await {
                        Ok(Some(protocol)) => Came::Found(job, protocol),
                        // It says nothing at all. Asked by HTTP it may answer, and if not, that has a name there.
                        Ok(None) => Came::Guessed(answer(asker, job).await),
                        Err(error) => Came::Done(Done::new(job, Err(error))),
                    }
                }));
            }
        }
    }

    fn send(&mut self, job: Job, protocol: Protocol) {
        match protocol {
            Protocol::Http => self.asked.push(Box::pin(answer(self.ways.asker.clone(), job).map(Came::Done))),
            Protocol::Grpc => {
                // A task ends only when nothing can be sent to it.
                if let Err(unsent) = self.conversation(&job.question.address).send(job) {
                    let _ = self.answers.0.send(Done::lost(unsent.0));
                }
            }
        }
    }

    fn conversation(&mut self, address: &Arc<Address>) -> UnboundedSender<Job> {
        if let Some((_, jobs)) = self.conversations.iter().find(|(known, _)| Arc::ptr_eq(known, address)) {
            return jobs.clone();
        }
        let (jobs, taken) = unbounded_channel();
        let conversation = Conversation::new(
            Arc::clone(address),
            Arc::clone(&self.config),
            (Arc::clone(&self.ways.headers), self.ways.large.clone()),
            (taken, self.answers.0.clone()),
        );
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(conversation.run());
        self.conversations.push((Arc::clone(address), jobs.clone()));
        jobs
    }

    /// The next answer; there must be a question under way. Dropped while it waits, it loses nothing.
    pub(super) async fn next(&mut self) -> Done {
        loop {
            let came = tokio::select! {
                Some(came) = self.asked.next(), if !self.asked.is_empty() => came,
                Some(done) = self.answers.1.recv() => Came::Done(done),
            };
            match came {
                Came::Done(done) => return self.came(done),
                Came::Guessed(done) => {
                    if matches!(done.result, Some(Ok(_))) {
                        self.found.push((Arc::clone(&done.job.question.address), Protocol::Http));
                    }
                    return self.came(done);
                }
                Came::Found(job, protocol) => {
                    self.found.push((Arc::clone(&job.question.address), protocol));
                    self.send(job, protocol);
                }
            }
        }
    }

    /// The next answer, if it is there already.
    pub(super) fn next_now(&mut self) -> Option<Done> {
        if self.under_way == 0 {
            return None;
        }
        self.next().now_or_never()
    }

    fn came(&mut self, done: Done) -> Done {
        self.under_way -= 1;
        // What comes back there may be another program.
        if let Some(Err(error)) = &done.result
            && error.is_of_server()
        {
            self.found.retain(|(known, _)| !Arc::ptr_eq(known, &done.job.question.address));
            self.conversations.retain(|(known, _)| !Arc::ptr_eq(known, &done.job.question.address));
        }
        done
    }
}
