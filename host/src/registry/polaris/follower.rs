//! The loop that follows: it asks what is due, and hands on what comes back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::PolarisConfig;
use super::doorbell::{Doorbell, Ring};
use super::job::{Ask, Done, Job, Question};
use super::lanes::{Lanes, Room};
use super::schedule::Schedule;
use super::servers::{Consequence, Servers};
use super::transport::Transport;
use crate::registry::decode::Decoded;
use crate::registry::{Content, PollStats, RegistryError, ReportQueue};

/// Polls go out together on a grid this coarse at most: fifty wake-ups a second cost less than one for each of hundreds of
/// polls, and twenty milliseconds are nothing beside the interval.
const LONGEST_TICK: Duration = Duration::from_millis(20);

/// The grid of a short interval: this part of it.
const TICKS_PER_INTERVAL: u32 = 50;

/// The state of following.
pub(super) struct Follower<A> {
    transport: Transport<A>,
    doorbell: Option<Doorbell>,
    servers: Servers,
    schedule: Schedule,
    queue: ReportQueue,
    lanes: Lanes,
    start: Instant,
    tick: Duration,
    /// Until when requests are gathered.
    gathered_until: Instant,
    term: u64,
    stats: Arc<PollStats>,
}

impl<A: Ask> Follower<A> {
    pub(super) fn new(
        config: &PolarisConfig,
        (transport, doorbell): (Transport<A>, Option<Doorbell>),
        stats: Arc<PollStats>,
        queue: ReportQueue,
    ) -> Self {
        let start = Instant::now();
        Self {
            transport,
            doorbell,
            servers: Servers::new(config),
            schedule: Schedule::new(config),
            queue,
            lanes: Lanes::new(1),
            start,
            tick: (config.interval / TICKS_PER_INTERVAL).clamp(Duration::from_millis(1), LONGEST_TICK),
            gathered_until: start,
            term: 0,
            stats,
        }
    }

    /// Follows until nobody subscribes or reads any more.
    pub(super) async fn run(mut self) {
        let timer = sleep_until(self.start);
        tokio::pin!(timer);
        self.heed_changes();
        loop {
            let now = Instant::now();
            self.ask_due(now);
            let wake = self.next_wake(now);
            if let Some(wake) = wake.filter(|wake| *wake != timer.deadline()) {
                timer.as_mut().reset(wake);
            }
            tokio::select! {
                changed = self.queue.changed() => match changed {
                    true => self.heed_changes(),
                    false => return,
                },
                done = self.transport.next(), if self.transport.under_way() > 0 => {
                    self.answered(done);
                    while let Some(done) = self.transport.next_now() {
                        self.answered(done);
                    }
                }
                ring = next_ring(&mut self.doorbell) => self.rung(ring),
                () = &mut timer, if wake.is_some() => {}
            }
        }
    }

    /// The doorbell says something, or has ended.
    fn rung(&mut self, ring: Option<Ring>) {
        let now = Instant::now();
        self.schedule.pace.told(matches!(ring, Some(Ring::News(_))));
        match ring {
            Some(Ring::News(news)) => {
                news.services.iter().for_each(|service| self.schedule.ring(service, now));
                if news.more {
                    self.schedule.ring_all(now);
                }
                // What rang does not wait to be gathered.
                self.gathered_until = now;
            }
            Some(Ring::Silent) => self.schedule.ring_all(now),
            None => self.doorbell = None,
        }
    }

    /// A change was found that the doorbell may not have told of.
    fn heed_untold(&mut self, job: &Job, now: Instant) {
        if let Some(doorbell) = &mut self.doorbell
            && self.schedule.is_untold(&job.question.service, job.ticket, now)
            && doorbell.missed(&job.question.service, now)
        {
            self.schedule.pace.told(false);
            self.schedule.ring_all(now);
        }
    }

    /// Asks for all that is due, unless requests are being gathered.
    fn ask_due(&mut self, now: Instant) {
        let Some((address, _)) = self.servers.current().filter(|_| now >= self.gathered_until) else { return };
        self.schedule.pace.set_rate(self.transport.rate(&address));
        self.lanes.widen(self.transport.room(&address));
        let before = self.transport.under_way();
        while let Some(job) = self.next_job(now) {
            self.transport.ask(job);
        }
        if self.transport.under_way() > before {
            self.gathered_until = now + self.transport.batch(&address);
        }
    }

    /// Asks by the mode and the subscriptions of now. In a new term, what was asked for in the last one does not count any
    /// more; under a new subscription, what was asked for under the last one does not, and nothing is known of its revision.
    fn heed_changes(&mut self) {
        let (changes, now) = (self.queue.take_changes(), Instant::now());
        self.schedule.pace.slow(changes.mode.slow);
        if std::mem::replace(&mut self.term, changes.mode.term) != changes.mode.term {
            self.schedule.all_anew(changes.mode.term, now);
        }
        if let Some(doorbell) = &self.doorbell {
            doorbell.follow(&changes.services);
        }
        for (service, ticket) in changes.services {
            let Some(ticket) = ticket else {
                self.schedule.remove(&service);
                continue;
            };
            if let Some(error) = self.servers.halted_for() {
                self.queue.failed_quietly(&service, ticket, error, now);
            }
            self.schedule.add(service, ticket, now);
        }
    }

    /// The next request to make now.
    fn next_job(&mut self, now: Instant) -> Option<Job> {
        let (address, generation) = self.servers.current()?;
        let halted = self.servers.halted_until().is_some_and(|until| until > now);
        if halted || !self.schedule.pace.allows(now) {
            return None;
        }
        let room = self.room(now);
        let turn = self.schedule.next_turn(now, room)?;
        let number = self.lanes.enter(turn.slow, now);
        let question = Question { service: turn.service, address, revision: turn.revision };
        Some(Job { question, ticket: turn.ticket, generation, number, asked: now })
    }

    /// The lanes that have room. While halted, there is one probe at a time.
    fn room(&self, now: Instant) -> Room {
        match self.servers.halted_until() {
            Some(_) => Room { quick: self.lanes.is_empty(), slow: self.lanes.is_empty() },
            None => self.lanes.room(now),
        }
    }

    /// When to look for due services again; `None` if an answer must come first, or nothing is ever due.
    fn next_wake(&mut self, now: Instant) -> Option<Instant> {
        let (room, halted) = (self.room(now), self.servers.halted_until());
        let allowed = self.schedule.pace.next(now).max(self.gathered_until);
        let due = self.schedule.next_due(room).map(|due| due.max(allowed));
        let due = due.map(|due| self.on_grid(halted.map_or(due, |until| due.max(until))));
        let room_at = if room.quick || halted.is_some() { None } else { self.lanes.room_at(now) };
        due.into_iter().chain(room_at).min()
    }

    fn on_grid(&self, moment: Instant) -> Instant {
        let tick = self.tick.as_nanos().max(1);
        let ticks = moment.saturating_duration_since(self.start).as_nanos().div_ceil(tick);
        self.start + Duration::from_nanos(u64::try_from(ticks * tick).unwrap_or(u64::MAX))
    }

    /// An answer, or a failure, came back.
    fn answered(&mut self, done: Done) {
        let Done { job, result, received } = done;
        let slow = self.lanes.leave(job.number, received);
        let Some(result) = result else {
            // It went down with another's, and is asked the same again.
            return self.schedule.again(&job.question.service, job.ticket, job.question.revision.is_empty(), received);
        };
        self.schedule.was_slow(&job.question.service, job.ticket, slow);
        if self.schedule.slot(&job.question.service, job.ticket).is_none() {
            // Dropped meanwhile; that the server answers is worth knowing all the same.
            if result.is_ok() {
                self.servers.answered(job.generation, received);
            }
            return;
        }
        match result.and_then(|answer| self.understood(&job, answer, received)) {
            Ok(result) => {
                self.servers.answered(job.generation, received);
                self.stats.answered(job.question.address.shown(), result);
                self.stats.halted(self.servers.halted_for().map(|error| &**error));
                self.schedule.answered(&job.question.service, job.ticket, received);
            }
            Err(error) => self.failed(&job, error, received),
        }
    }

    /// Hands a decoded answer on, unless it cannot be the answer to what was asked. Returns what it was.
    fn understood(&mut self, job: &Job, answer: Decoded, received: Instant) -> Result<&'static str, RegistryError> {
        match answer {
            Decoded::Unchanged => {
                if self.queue.unchanged(&job.question.service, job.ticket, received) {
                    return Ok("unchanged");
                }
                let problem = "it says that nothing changed (200001) since a revision that was not sent".to_owned();
                Err(RegistryError::NotInstances { origin: job.question.origin(), problem })
            }
            Decoded::Answer(Content::Missing, _) => {
                if self.queue.answered(&job.question.service, job.ticket, Content::Missing, received).is_some() {
                    self.schedule.revised(&job.question.service, job.ticket, String::new(), false, received);
                }
                Ok("missing")
            }
            Decoded::Answer(Content::Listed(service), answered) => {
                if let Some(answered) = answered.filter(|answered| *answered != *job.question.service) {
                    let asked = (*job.question.service).clone();
                    return Err(RegistryError::WrongService { origin: job.question.origin(), asked, answered });
                }
                // What a server that was just turned to does not list may not have reached it yet, and one of several behind
                // an address may give the state before this one: it is asked again.
                if self.servers.may_lag(received) && self.queue.would_lose(&job.question.service, &service)
                    || self.schedule.is_older(&job.question.service, job.ticket, &service.revision, received)
                {
                    return Ok("listed");
                }
                if let Some(limit) = self.queue.over(&job.question.service, &service) {
                    return Err(RegistryError::TooMuch { service: (*job.question.service).clone(), limit });
                }
                let revision = service.revision.clone();
                let content = Content::Listed(service);
                // The revision of what was not kept must not be sent: "unchanged" would then be said of something else.
                if let Some(changed) = self.queue.answered(&job.question.service, job.ticket, content, received) {
                    if changed {
                        self.heed_untold(job, received);
                    }
                    self.schedule.revised(&job.question.service, job.ticket, revision, changed, received);
                }
                Ok("listed")
            }
        }
    }

    /// A request failed: the trouble is the service's own, the server's, or everyone's.
    fn failed(&mut self, job: &Job, error: RegistryError, now: Instant) {
        self.stats.failed(job.question.address.shown(), &error);
        if matches!(error, RegistryError::Limited { .. }) {
            self.schedule.pace.limited(now);
        }
        match self.servers.failed(job.generation, &job.question.service, error, self.queue.len(), job.asked, now) {
            Consequence::Alone(error) => {
                self.queue.failed(&job.question.service, job.ticket, &Arc::new(error), now);
                self.schedule.failed(&job.question.service, job.ticket, now);
            }
            Consequence::Again => self.schedule.again(&job.question.service, job.ticket, true, now),
            Consequence::Halted(error) => {
                self.stats.halted(Some(&error));
                self.queue.all_failed(&error, now);
                // Behind the others, so that the next probe asks for another service: this one may be the cause.
                self.schedule.failed(&job.question.service, job.ticket, now);
            }
        }
    }
}

/// The next that the doorbell says.
async fn next_ring(doorbell: &mut Option<Doorbell>) -> Option<Ring> {
    match doorbell {
        Some(doorbell) => doorbell.next().await,
        None => std::future::pending().await,
    }
}
