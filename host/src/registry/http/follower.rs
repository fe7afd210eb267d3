//! The loop that follows: asks what is due, takes what comes back, hands on what is news.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::HttpConfig;
use super::ask::{Asker, Done, Job};
use super::schedule::Schedule;
use super::servers::{Consequence, Servers};
use crate::registry::decode::{Content, Decoded};
use crate::registry::report_queue::ReportQueue;
use crate::registry::{PollMode, PollStats, RegistryError, Report, ServiceKey, Wanted};

/// Polls go out together on a grid this coarse at most: fifty wake-ups a second cost less than one for each of hundreds of
/// polls, and twenty milliseconds are nothing beside the interval.
const LONGEST_TICK: Duration = Duration::from_millis(20);

/// The grid of a short interval: this part of it.
const TICKS_PER_INTERVAL: u32 = 50;

/// The state of following.
pub(super) struct Follower {
    asker: Asker,
    servers: Servers,
    schedule: Schedule,
    queue: ReportQueue,
    concurrency: usize,
    start: Instant,
    tick: Duration,
    term: u64,
    stats: Arc<PollStats>,
}

impl Follower {
    pub(super) fn new(config: &HttpConfig, asker: Asker, stats: Arc<PollStats>) -> Self {
        Self {
            asker,
            servers: Servers::new(config),
            schedule: Schedule::new(config),
            queue: ReportQueue::default(),
            concurrency: config.concurrency.max(1),
            start: Instant::now(),
            tick: (config.interval / TICKS_PER_INTERVAL).clamp(Duration::from_millis(1), LONGEST_TICK),
            term: 0,
            stats,
        }
    }

    /// Follows until nobody wants anything or hears anything any more.
    pub(super) async fn run(
        mut self,
        mut wanted: watch::Receiver<Wanted>,
        mut pace: watch::Receiver<PollMode>,
        reports: mpsc::Sender<Report>,
    ) {
        let mut asked = FuturesUnordered::new();
        let timer = sleep_until(self.start);
        tokio::pin!(timer);
        let first = wanted.borrow_and_update().clone();
        self.keep_pace(*pace.borrow_and_update());
        self.want(&first);
        loop {
            let now = Instant::now();
            while let Some(job) = self.next_job(asked.len(), now) {
                asked.push(self.asker.clone().ask(job));
            }
            let wake = self.next_wake(asked.len());
            if let Some(wake) = wake.filter(|wake| *wake != timer.deadline()) {
                timer.as_mut().reset(wake);
            }
            tokio::select! {
                changed = wanted.changed() => match changed {
                    Ok(()) => {
                        let set = wanted.borrow_and_update().clone();
                        self.want(&set);
                    }
                    Err(_) => return,
                },
                permit = reports.reserve(), if self.queue.has_reports() => match permit {
                    Ok(permit) => {
                        if let Some(report) = self.queue.next_report() {
                            permit.send(report);
                        }
                    }
                    Err(_) => return,
                },
                () = reports.closed() => return,
                Ok(()) = pace.changed() => self.keep_pace(*pace.borrow_and_update()),
                Some(done) = asked.next(), if !asked.is_empty() => {
                    self.take(done);
                    while let Some(Some(done)) = asked.next().now_or_never() {
                        self.take(done);
                    }
                }
                () = &mut timer, if wake.is_some() => {}
            }
        }
    }

    /// Takes a new pace. In a new term, what was asked for in the last one does not count any more.
    fn keep_pace(&mut self, pace: PollMode) {
        self.schedule.slow(pace.slow);
        if std::mem::replace(&mut self.term, pace.term) != pace.term {
            self.queue.repeat(pace.term);
            self.schedule.all_anew(Instant::now());
        }
    }

    /// Takes a new set of wanted services.
    fn want(&mut self, wanted: &Wanted) {
        let now = Instant::now();
        let gone: Vec<ServiceKey> = self.queue.services().filter(|known| !wanted.contains(known)).cloned().collect();
        for service in &gone {
            self.schedule.remove(service);
            self.queue.forget(service);
        }
        for service in wanted.iter() {
            if self.queue.want(service) {
                self.schedule.add(service, now);
                if let Some(error) = self.servers.halted_for() {
                    self.queue.failed_quietly(service, error, now);
                }
            }
        }
    }

    /// The next request to make now, with so many under way.
    fn next_job(&mut self, under_way: usize, now: Instant) -> Option<Job> {
        if under_way >= self.limit() || self.servers.halted_until().is_some_and(|until| until > now) {
            return None;
        }
        let (address, generation) = self.servers.current()?;
        let turn = self.schedule.next_turn(now)?;
        Some(Job { service: turn.service, epoch: turn.epoch, address, generation, body: turn.body })
    }

    /// While halted, one probe at a time.
    fn limit(&self) -> usize {
        if self.servers.halted_until().is_some() { 1 } else { self.concurrency }
    }

    /// When to look for due services again; `None` where an answer must come first, or nothing is due ever.
    fn next_wake(&mut self, under_way: usize) -> Option<Instant> {
        if under_way >= self.limit() {
            return None;
        }
        let mut due = self.schedule.next_due()?;
        if let Some(until) = self.servers.halted_until() {
            due = due.max(until);
        }
        Some(self.on_grid(due))
    }

    fn on_grid(&self, moment: Instant) -> Instant {
        let tick = self.tick.as_nanos().max(1);
        let ticks = moment.saturating_duration_since(self.start).as_nanos().div_ceil(tick);
        self.start + Duration::from_nanos(u64::try_from(ticks * tick).unwrap_or(u64::MAX))
    }

    fn take(&mut self, done: Done) {
        let Done { job, result, received } = done;
        if self.schedule.slot(&job.service, job.epoch).is_none() {
            // Dropped meanwhile; that the server answers is worth knowing all the same.
            if result.is_ok() {
                self.servers.answered(job.generation, received);
            }
            return;
        }
        match result.and_then(|answer| self.understood(&job, answer, received)) {
            Ok(result) => {
                self.servers.answered(job.generation, received);
                self.stats.answered(job.address.shown(), result);
                self.stats.halted(self.servers.halted_for().map(|error| &**error));
                self.schedule.answered(&job.service, job.epoch, received);
            }
            Err(error) => self.failed(&job, error, received),
        }
    }

    /// Takes a decoded answer in, unless it cannot be the answer to what was asked.
    fn understood(&mut self, job: &Job, answer: Decoded, received: Instant) -> Result<&'static str, RegistryError> {
        let origin = || format!("service {} at {}", job.service, job.address);
        match answer {
            Decoded::Unchanged => {
                if self.queue.unchanged(&job.service, received) {
                    return Ok("unchanged");
                }
                let problem = "it says that nothing changed (200001) since a revision that was not sent".to_owned();
                Err(RegistryError::NotInstances { origin: origin(), problem })
            }
            Decoded::Missing(_) => {
                self.queue.answered(&job.service, Content::Missing, received);
                self.schedule.revised(&job.service, job.epoch, String::new(), false, received);
                Ok("missing")
            }
            Decoded::Listed(service) => {
                let answered = ServiceKey::new(&*service.namespace, &*service.name);
                if answered != *job.service {
                    let asked = (*job.service).clone();
                    return Err(RegistryError::WrongService { origin: origin(), asked, answered });
                }
                // What a server that was just turned to does not list may not have reached it yet: it is asked again.
                if self.servers.may_lag(received) && self.queue.would_lose(&job.service, &service) {
                    return Ok("listed");
                }
                if let Some(limit) = self.queue.over(&job.service, &service) {
                    return Err(RegistryError::TooMuch { service: (*job.service).clone(), limit });
                }
                let revision = service.revision.clone();
                let changed = self.queue.answered(&job.service, Content::Listed(service), received);
                self.schedule.revised(&job.service, job.epoch, revision, changed, received);
                Ok("listed")
            }
        }
    }

    /// Takes a failure: the service's own, the server's, or everyone's.
    fn failed(&mut self, job: &Job, error: RegistryError, now: Instant) {
        self.stats.failed(job.address.shown(), &error);
        match self.servers.failed(job.generation, &job.service, error, self.queue.len(), now) {
            Consequence::Alone(error) => {
                self.queue.failed(&job.service, &Arc::new(error), now);
                self.schedule.failed(&job.service, job.epoch, now);
            }
            Consequence::Again => self.schedule.again(&job.service, job.epoch, now),
            Consequence::Halted(error) => {
                self.stats.halted(Some(&error));
                self.queue.all_failed(&error, now);
                // Behind the others, so that the next probe asks for another service: this one may be the cause.
                self.schedule.failed(&job.service, job.epoch, now);
            }
        }
    }
}
