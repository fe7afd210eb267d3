//! When each service is asked next, and with what.
//!
//! Each service is asked once an interval, at a moment of its own: after the first answer it gets a random place in the
//! interval, and a little jitter at every turn keeps a thousand services from ever forming a burst.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::PolarisConfig;
use super::lanes::Room;
use super::pace::{EAGER_FOR, Intervals, Pace};
use crate::backoff::Backoff;
use crate::hash::hash;
use crate::registry::ServiceKey;
use crate::registry::subscriptions::Ticket;

/// How far a turn may move, as a part of the interval.
const JITTER: f64 = 0.05;

/// How far the reading in full may move, as a part of its own interval.
const FULL_JITTER: f64 = 0.2;

/// How far one server of a registry may be behind another: a tick of a second, and some time for a loaded machine.
pub(super) const LAG: Duration = Duration::from_secs(2);

/// A change that is found within this time of a ring is the one that was told of, or came right after it.
const TOLD_FOR: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Slot {
    /// Under which subscription and in which term it is asked for.
    pub(super) ticket: Ticket,
    /// The registry's last revision; empty before the first answer and for a service that does not exist.
    revision: Arc<str>,
    /// Revisions that were replaced a short time ago, as hashes, with when. A server that is behind may give one of them.
    replaced: Vec<(u64, Instant)>,
    /// Until when it is asked for more often, as it has changed.
    eager_until: Option<Instant>,
    /// `None` while a request is under way.
    due: Option<Instant>,
    /// When it is to be read in full, whatever its revision.
    full_due: Instant,
    /// When something told that it may have changed.
    told: Option<Instant>,
    /// Whether that was while a request was under way, which may be too old.
    again: bool,
    /// Whether it has its own place in the interval yet.
    placed: bool,
    /// Whether its last answer was slow to come.
    slow: bool,
    backoff: Option<Backoff>,
}

/// Services by when they are due. It may hold some that no longer count: one counts if its moment is its slot's.
type Queue = BinaryHeap<Reverse<(Instant, Ticket, Arc<ServiceKey>)>>;

/// The queues of the two lanes.
#[derive(Debug, Default)]
struct Queues {
    quick: Queue,
    /// Services whose answers are slow to come.
    slow: Queue,
}

impl Queues {
    /// Puts a service that is due into the queue of its lane.
    fn push(&mut self, slot: &Slot, service: &Arc<ServiceKey>) {
        let queue = if slot.slow { &mut self.slow } else { &mut self.quick };
        queue.extend(slot.due.map(|due| Reverse((due, slot.ticket, Arc::clone(service)))));
    }
}

/// All followed services, by when they are due.
#[derive(Debug)]
pub(super) struct Schedule {
    slots: HashMap<Arc<ServiceKey>, Slot>,
    queues: Queues,
    /// How often services are asked for.
    pub(super) pace: Pace,
    /// How many services have changed a short time ago.
    eager: usize,
    full_every: Duration,
    recheck_after: Duration,
    waits: (Duration, Duration),
}

/// A service whose turn has come.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) service: Arc<ServiceKey>,
    pub(super) ticket: Ticket,
    /// The revision to send; empty to be answered in full.
    pub(super) revision: Arc<str>,
    /// Whether it goes by the lane of slow services.
    pub(super) slow: bool,
}

impl Slot {
    /// It is due now. Returns whether it must be put into the queue.
    fn tell(&mut self, now: Instant) -> bool {
        self.told = Some(now);
        match &mut self.due {
            // One that is due already stands in the queue by the moment when it became so.
            Some(due) if *due <= now => false,
            Some(due) => {
                *due = now;
                true
            }
            None => {
                self.again = true;
                false
            }
        }
    }
}

impl Schedule {
    pub(super) fn new(config: &PolarisConfig) -> Self {
        Self {
            slots: HashMap::new(),
            queues: Queues::default(),
            pace: Pace::new(config.interval, config.sweep),
            eager: 0,
            full_every: config.full_every,
            recheck_after: config.recheck_after,
            waits: config.backoff,
        }
    }

    /// Follows a service from now on, in place of what was followed of it before; it is due at once.
    pub(super) fn add(&mut self, service: Arc<ServiceKey>, ticket: Ticket, now: Instant) {
        let slot = Slot {
            ticket,
            revision: Arc::default(),
            replaced: Vec::new(),
            eager_until: None,
            told: None,
            again: false,
            due: Some(now),
            full_due: now + jittered(self.full_every, FULL_JITTER),
            placed: false,
            slow: false,
            backoff: None,
        };
        self.queues.push(&slot, &service);
        let before = self.slots.insert(service, slot);
        self.forget(before);
    }

    pub(super) fn remove(&mut self, service: &ServiceKey) {
        let before = self.slots.remove(service);
        self.forget(before);
    }

    fn forget(&mut self, slot: Option<Slot>) {
        self.eager -= usize::from(slot.is_some_and(|slot| slot.eager_until.is_some()));
    }

    /// All are due now, those that are under way too: their answers come for nothing. Revisions stay, so that nothing is sent
    /// twice that did not change.
    pub(super) fn all_anew(&mut self, term: u64, now: Instant) {
        for (service, slot) in &mut self.slots {
            slot.ticket = slot.ticket.in_term(term);
            slot.due = Some(now);
            slot.placed = false;
            slot.backoff = None;
            self.queues.push(slot, service);
        }
    }

    /// Something told that a service has changed: it is read in full at once.
    pub(super) fn ring(&mut self, service: &ServiceKey, now: Instant) {
        let Some((service, _)) = self.slots.get_key_value(service) else { return };
        let service = Arc::clone(service);
        if let Some(slot) = self.slots.get_mut(&service) {
            slot.full_due = now;
            if slot.tell(now) {
                self.queues.push(slot, &service);
            }
        }
    }

    /// Something told that some service may have changed: all are asked for.
    pub(super) fn ring_all(&mut self, now: Instant) {
        for (service, slot) in &mut self.slots {
            if slot.tell(now) {
                self.queues.push(slot, service);
            }
        }
    }

    /// Whether a change of a service came without being told.
    pub(super) fn is_untold(&mut self, service: &ServiceKey, ticket: Ticket, now: Instant) -> bool {
        let slot = self.slot(service, ticket).filter(|slot| slot.placed);
        slot.is_some_and(|slot| slot.told.is_none_or(|told| now.duration_since(told) > TOLD_FOR))
    }

    fn intervals(&mut self, now: Instant) -> Intervals {
        self.pace.intervals(self.slots.len(), self.eager, now)
    }

    /// The slot of a service, unless that ticket does not count any more.
    pub(super) fn slot(&mut self, service: &ServiceKey, ticket: Ticket) -> Option<&mut Slot> {
        self.slots.get_mut(service).filter(|slot| slot.ticket == ticket)
    }

    /// When the next turn comes in a lane that has room.
    pub(super) fn next_due(&mut self, room: Room) -> Option<Instant> {
        let quick = if room.quick { first(&self.slots, &mut self.queues.quick) } else { None };
        let slow = if room.slow { first(&self.slots, &mut self.queues.slow) } else { None };
        quick.into_iter().chain(slow).min()
    }

    /// The next service whose turn has come, in a lane that has room; it has none again until it is put back.
    pub(super) fn next_turn(&mut self, now: Instant, room: Room) -> Option<Turn> {
        let due = self.next_due(room).filter(|due| *due <= now)?;
        let quick = room.quick && first(&self.slots, &mut self.queues.quick) == Some(due);
        let queue = if quick { &mut self.queues.quick } else { &mut self.queues.slow };
        let Reverse((_, ticket, service)) = queue.pop()?;
        let slot = self.slots.get_mut(&service)?;
        slot.due = None;
        let full = slot.full_due <= now;
        let revision = if full { Arc::default() } else { Arc::clone(&slot.revision) };
        if full {
            slot.full_due = now + jittered(self.full_every, FULL_JITTER);
        }
        self.pace.spend();
        Some(Turn { service, ticket, revision, slow: !quick })
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
        let other = *slot.revision != *revision;
        if other {
            slot.replaced.retain(|(_, at)| now.duration_since(*at) < LAG);
            slot.replaced.push((hash(&*slot.revision), now));
            slot.revision = revision.into();
        }
        if changed || other {
            slot.full_due = slot.full_due.min(recheck);
        }
        // The first answer is no change.
        if changed && slot.placed {
            let new = slot.eager_until.replace(now + EAGER_FOR).is_none();
            self.eager += usize::from(new);
        }
    }

    /// Whether that revision was replaced by another so short a time ago that a server may still give it which is behind.
    pub(super) fn is_older(&mut self, service: &ServiceKey, ticket: Ticket, revision: &str, now: Instant) -> bool {
        let Some(slot) = self.slot(service, ticket).filter(|slot| !slot.replaced.is_empty()) else { return false };
        slot.replaced.retain(|(_, at)| now.duration_since(*at) < LAG);
        let revision_hash = hash(revision);
        !revision.is_empty()
            && *slot.revision != *revision
            && slot.replaced.iter().any(|(old, _)| *old == revision_hash)
    }

    /// Puts a service back after a sound answer.
    pub(super) fn answered(&mut self, service: &Arc<ServiceKey>, ticket: Ticket, now: Instant) {
        let intervals = self.intervals(now);
        let Some(slot) = self.slot(service, ticket) else {
            return;
        };
        slot.backoff = None;
        let calm = slot.eager_until.is_some_and(|until| until <= now);
        if calm {
            slot.eager_until = None;
        }
        let interval = if slot.eager_until.is_some() { intervals.eager } else { intervals.usual };
        let wait =
            if slot.placed { jittered(interval, JITTER) } else { interval.mul_f64(rand::random_range(0.0..1.0)) };
        slot.placed = true;
        let wait = if std::mem::take(&mut slot.again) { Duration::ZERO } else { wait };
        let due = (now + wait).min(slot.full_due.max(now));
        self.eager -= usize::from(calm);
        self.put_back(service, ticket, due);
    }

    /// Puts a service back after trouble of its own.
    pub(super) fn failed(&mut self, service: &Arc<ServiceKey>, ticket: Ticket, now: Instant) {
        let (waits, interval) = (self.waits, self.intervals(now).usual);
        let Some(slot) = self.slot(service, ticket) else {
            return;
        };
        let wait = slot.backoff.get_or_insert_with(|| Backoff::new(waits)).next();
        // A request for a full answer may have been lost, and after trouble a server may have come back as another.
        slot.full_due = now;
        // A service in trouble is not asked more often than a sound one.
        self.put_back(service, ticket, now + wait.max(interval));
    }

    /// Puts a service back to be asked again at once; `full` says whether in full.
    pub(super) fn again(&mut self, service: &Arc<ServiceKey>, ticket: Ticket, full: bool, now: Instant) {
        if let Some(slot) = self.slot(service, ticket).filter(|_| full) {
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
        self.queues.push(slot, service);
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
