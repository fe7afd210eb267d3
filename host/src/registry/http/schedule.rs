//! When each service is asked next, and with what.
//!
//! Each service is asked once an interval, at a moment of its own: after the first answer it gets a random place in the
//! interval, and a little jitter at every turn keeps a thousand services from ever forming a burst.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::HttpConfig;
use super::lanes::Room;
use crate::backoff::Backoff;
use crate::registry::ServiceKey;
use crate::registry::subscriptions::Ticket;
use crate::registry::wire::request_body;

/// How far a turn may move, as a part of the interval.
const JITTER: f64 = 0.05;

/// Who does not act on answers asks this many times less often.
const SLOW: u32 = 5;

/// How far the reading in full may move, as a part of its own interval.
const FULL_JITTER: f64 = 0.2;

#[derive(Debug)]
pub(super) struct Slot {
    /// Under which subscription and in which term it is asked for.
    pub(super) ticket: Ticket,
    /// The registry's last revision; empty before the first answer and for a service that does not exist.
    pub(super) revision: String,
    /// The request with that revision.
    body: Vec<u8>,
    /// `None` while a request is under way.
    due: Option<Instant>,
    /// When it is to be read in full, whatever its revision.
    full_due: Instant,
    /// Whether it has its own place in the interval yet.
    placed: bool,
    /// Whether its last answer was slow to come.
    slow: bool,
    backoff: Option<Backoff>,
}

/// Services by when they are due. It may hold some that no longer count: one counts if its moment is its slot's.
type Queue = BinaryHeap<Reverse<(Instant, Ticket, Arc<ServiceKey>)>>;

/// All followed services, by when they are due.
#[derive(Debug)]
pub(super) struct Schedule {
    slots: HashMap<Arc<ServiceKey>, Slot>,
    quick: Queue,
    /// Those whose answers are slow to come.
    slow: Queue,
    interval: Duration,
    /// Whether all are asked for less often.
    seldom: bool,
    full_every: Duration,
    recheck_after: Duration,
    waits: (Duration, Duration),
}

/// A service whose turn has come.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) service: Arc<ServiceKey>,
    pub(super) ticket: Ticket,
    pub(super) body: Vec<u8>,
    /// Whether it goes by the lane of slow services.
    pub(super) slow: bool,
}

impl Schedule {
    pub(super) fn new(config: &HttpConfig) -> Self {
        Self {
            slots: HashMap::new(),
            quick: Queue::new(),
            slow: Queue::new(),
            interval: config.interval,
            seldom: false,
            full_every: config.full_every,
            recheck_after: config.recheck_after,
            waits: config.backoff,
        }
    }

    /// Follows a service from now on, in place of what was followed of it before; it is due at once.
    pub(super) fn add(&mut self, service: Arc<ServiceKey>, ticket: Ticket, now: Instant) {
        let slot = Slot {
            ticket,
            revision: String::new(),
            body: request_body(&service, ""),
            due: Some(now),
            full_due: now + jittered(self.full_every, FULL_JITTER),
            placed: false,
            slow: false,
            backoff: None,
        };
        self.quick.push(Reverse((now, ticket, Arc::clone(&service))));
        self.slots.insert(service, slot);
    }

    pub(super) fn remove(&mut self, service: &ServiceKey) {
        self.slots.remove(service);
    }

    /// Whether all are asked for less often from now on.
    pub(super) fn slow(&mut self, slow: bool) {
        self.seldom = slow;
    }

    /// All are due now, those that are under way too: their answers come for nothing. Revisions stay, so that nothing is sent
    /// twice that did not change.
    pub(super) fn all_anew(&mut self, term: u64, now: Instant) {
        for (service, slot) in &mut self.slots {
            slot.ticket = slot.ticket.in_term(term);
            slot.due = Some(now);
            slot.placed = false;
            slot.backoff = None;
            let queue = if slot.slow { &mut self.slow } else { &mut self.quick };
            queue.push(Reverse((now, slot.ticket, Arc::clone(service))));
        }
    }

    fn interval(&self) -> Duration {
        if self.seldom { self.interval * SLOW } else { self.interval }
    }

    /// The slot of a service, unless that ticket does not count any more.
    pub(super) fn slot(&mut self, service: &ServiceKey, ticket: Ticket) -> Option<&mut Slot> {
        self.slots.get_mut(service).filter(|slot| slot.ticket == ticket)
    }

    /// When the next turn comes in a lane that has room.
    pub(super) fn next_due(&mut self, room: Room) -> Option<Instant> {
        let quick = if room.quick { first(&self.slots, &mut self.quick) } else { None };
        let slow = if room.slow { first(&self.slots, &mut self.slow) } else { None };
        quick.into_iter().chain(slow).min()
    }

    /// The next service whose turn has come, in a lane that has room; it has none again until it is put back.
    pub(super) fn next_turn(&mut self, now: Instant, room: Room) -> Option<Turn> {
        let due = self.next_due(room).filter(|due| *due <= now)?;
        let quick = room.quick && first(&self.slots, &mut self.quick) == Some(due);
        let queue = if quick { &mut self.quick } else { &mut self.slow };
        let Reverse((_, ticket, service)) = queue.pop()?;
        let slot = self.slots.get_mut(&service)?;
        slot.due = None;
        let full = slot.full_due <= now;
        let body = if full { request_body(&service, "") } else { slot.body.clone() };
        if full {
            slot.full_due = now + jittered(self.full_every, FULL_JITTER);
        }
        Some(Turn { service, ticket, body, slow: !quick })
    }

    /// Notes the revision of a full answer; `changed` says whether its content was new. After a change of either the service
    /// is read in full once more: new instances can come with the old revision, and the reverse.
    pub(super) fn revised(
        &mut self,
        service: &ServiceKey,
        ticket: Ticket,
        revision: String,
        changed: bool,
        now: Instant,
    ) {
        let recheck = now + self.recheck_after;
        let Some(slot) = self.slot(service, ticket) else {
            return;
        };
        let other = slot.revision != revision;
        if other {
            slot.body = request_body(service, &revision);
            slot.revision = revision;
        }
        if changed || other {
            slot.full_due = slot.full_due.min(recheck);
        }
    }

    /// Puts a service back after a sound answer.
    pub(super) fn answered(&mut self, service: &Arc<ServiceKey>, ticket: Ticket, now: Instant) {
        let interval = self.interval();
        let Some(slot) = self.slot(service, ticket) else {
            return;
        };
        slot.backoff = None;
        let wait =
            if slot.placed { jittered(interval, JITTER) } else { interval.mul_f64(rand::random_range(0.0..1.0)) };
        slot.placed = true;
        self.put_back(service, ticket, now + wait);
    }

    /// Puts a service back after trouble of its own.
    pub(super) fn failed(&mut self, service: &Arc<ServiceKey>, ticket: Ticket, now: Instant) {
        let (waits, interval) = (self.waits, self.interval());
        let Some(slot) = self.slot(service, ticket) else {
            return;
        };
        let wait = slot.backoff.get_or_insert_with(|| Backoff::new(waits)).next();
        // A request for a full answer may have been lost, and after trouble a server may have come back as another.
        slot.full_due = now;
        // A service in trouble is not asked more often than a sound one.
        self.put_back(service, ticket, now + wait.max(interval));
    }

    /// Puts a service back to be asked again at once, of another server.
    pub(super) fn again(&mut self, service: &Arc<ServiceKey>, ticket: Ticket, now: Instant) {
        if let Some(slot) = self.slot(service, ticket) {
            slot.full_due = now;
        }
        self.put_back(service, ticket, now);
    }

    /// Whether a service's answer was slow to come: it goes by another lane from its next turn on.
    pub(super) fn was_slow(&mut self, service: &ServiceKey, ticket: Ticket, slow: bool) {
        if let Some(slot) = self.slot(service, ticket) {
            slot.slow = slow;
        }
    }

    fn put_back(&mut self, service: &Arc<ServiceKey>, ticket: Ticket, due: Instant) {
        let Some(slot) = self.slots.get_mut(service).filter(|slot| slot.ticket == ticket) else {
            return;
        };
        slot.due = Some(due);
        let queue = if slot.slow { &mut self.slow } else { &mut self.quick };
        queue.push(Reverse((due, ticket, Arc::clone(service))));
    }
}

/// When the first of a queue is due, without those that no longer count.
fn first(slots: &HashMap<Arc<ServiceKey>, Slot>, queue: &mut Queue) -> Option<Instant> {
    while let Some(Reverse((due, ticket, service))) = queue.peek() {
        if slots.get(service).is_some_and(|slot| slot.ticket == *ticket && slot.due == Some(*due)) {
            return Some(*due);
        }
        queue.pop();
    }
    None
}

fn jittered(duration: Duration, part: f64) -> Duration {
    duration.mul_f64(rand::random_range(1.0 - part..=1.0 + part))
}
