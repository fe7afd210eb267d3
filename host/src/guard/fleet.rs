//! Many services that lose instances at once: that is a registry that lost its data, not a thousand deployments.
//!
//! There is one fleet for all entries. While its alarm is on, every disappearance is held, without end.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::percent::Percent;

/// Losses within so long count together.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Fewer services than these raise no alarm, whatever their share.
const AT_LEAST: usize = 5;

/// The losses of all services.
#[derive(Debug)]
pub struct Fleet {
    limit: Percent,
    state: Mutex<State>,
}

/// An alarm that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// The time when it was raised.
    pub since: Instant,
    /// Services that had lost half of their endpoints, or all, by then.
    pub services: usize,
    /// Services that were followed then.
    pub followed: usize,
    /// Entries that hold endpoints because of it now.
    pub holding: usize,
}

#[derive(Debug, Default)]
struct State {
    followed: usize,
    lost: HashMap<String, Instant>,
    /// The losses by time, with some of services that came back or were lost again.
    order: VecDeque<(Instant, String)>,
    alarm: Option<Alarm>,
    /// Services whose loss raised the alarm and that were not decided on since.
    awaited: HashSet<String>,
    /// Entries that hold because of the alarm.
    holding: HashSet<String>,
}

impl Fleet {
    /// A fleet that raises the alarm when more than this share of services lose half.
    pub fn new(limit: Percent) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Sets the number of followed services.
    pub fn follow(&self, services: usize) {
        self.lock().followed = services;
    }

    /// The alarm, if it is on.
    pub fn alarm(&self) -> Option<Alarm> {
        let state = self.lock();
        state.alarm.map(|alarm| Alarm { holding: state.holding.len(), ..alarm })
    }

    /// Ends the alarm and forgets all losses: the operator says that they are real, or holds start anew.
    pub fn reset(&self) {
        let mut state = self.lock();
        *state = State { followed: state.followed, ..State::default() };
    }

    /// Notes that an entry is gone.
    pub fn forget(&self, entry: &str) {
        let mut state = self.lock();
        state.holding.remove(entry);
        state.awaited.clear();
        state.end_if_over();
    }

    /// Notes a loss of half of a service's endpoints, or all.
    pub(super) fn note_loss(&self, service: &str, now: Instant) {
        let mut state = self.lock();
        state.expire(now);
        state.lost.insert(service.to_owned(), now);
        state.order.push_back((now, service.to_owned()));
        let (services, followed) = (state.lost.len(), state.followed.max(state.lost.len()));
        if state.alarm.is_none() && services >= AT_LEAST && self.limit.is_passed(services, followed) {
            state.alarm = Some(Alarm { since: now, services, followed, holding: 0 });
            state.awaited = state.lost.keys().cloned().collect();
        }
    }

    /// Notes that a service lists its lost instances again.
    pub(super) fn note_return(&self, service: &str) {
        self.lock().lost.remove(service);
    }

    /// Notes whether an entry holds because of the alarm. The last one that does not ends it.
    pub(super) fn note_holding(&self, entry: &str, service: &str, holds: bool) {
        let mut state = self.lock();
        state.awaited.remove(service);
        if holds {
            state.holding.insert(entry.to_owned());
        } else {
            state.holding.remove(entry);
        }
        state.end_if_over();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn expire(&mut self, now: Instant) {
        while let Some((at, service)) = self.order.front().filter(|(at, _)| now.duration_since(*at) > WINDOW) {
            if self.lost.get(service).is_some_and(|lost| lost == at) {
                self.lost.remove(service);
            }
            self.order.pop_front();
        }
    }

    fn end_if_over(&mut self) {
        if self.alarm.is_some() && self.awaited.is_empty() && self.holding.is_empty() {
            *self = Self { followed: self.followed, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(followed: usize) -> (Fleet, Instant) {
        let fleet = Fleet::new("20%".parse().unwrap());
        fleet.follow(followed);
        (fleet, Instant::now())
    }

    /// Loses services at these seconds, and checks which of them raises the alarm.
    #[track_caller]
    fn check(followed: usize, seconds: &[u64], raised_by: Option<usize>) {
        let (fleet, start) = fleet(followed);
        let mut raised = None;
        for (number, second) in seconds.iter().enumerate() {
            fleet.note_loss(&format!("ns/{number}"), start + Duration::from_secs(*second));
            if raised.is_none() && fleet.alarm().is_some() {
                raised = Some(number);
            }
        }
        assert_eq!(raised, raised_by);
    }

    #[test]
    fn more_than_the_share_and_at_least_five_within_a_minute() {
        check(10, &[0, 1, 2, 3, 4], Some(4));
        check(2, &[0, 1], None);
        check(25, &[0, 1, 2, 3, 4], None);
        check(25, &[0, 1, 2, 3, 4, 5], Some(5));
        check(10, &[0, 30, 60, 61, 62], None);
        check(10, &[0, 30, 60, 61, 62, 63, 64], Some(5));
    }

    #[test]
    fn one_service_counts_once_and_not_when_it_is_back() {
        let (fleet, now) = fleet(10);
        (0..9).for_each(|_| fleet.note_loss("ns/a", now));
        assert_eq!(fleet.alarm(), None);
        for name in ["ns/b", "ns/c", "ns/d"] {
            fleet.note_loss(name, now);
        }
        fleet.note_return("ns/a");
        fleet.note_loss("ns/e", now);
        assert_eq!(fleet.alarm(), None);
        fleet.note_loss("ns/a", now + Duration::from_secs(60));
        assert!(fleet.alarm().is_some());
    }

    #[test]
    fn the_last_entry_that_holds_ends_it() {
        let (fleet, now) = fleet(10);
        let names: Vec<_> = (0..5).map(|number| format!("ns/{number}")).collect();
        names.iter().for_each(|name| fleet.note_loss(name, now));
        let alarm = Alarm { since: now, services: 5, followed: 10, holding: 0 };
        assert_eq!(fleet.alarm(), Some(alarm));
        // One that is back at once does not end it while others were not decided on.
        fleet.note_holding("e0", &names[0], false);
        assert_eq!(fleet.alarm(), Some(alarm));
        names[1..].iter().for_each(|name| fleet.note_holding(name, name, true));
        assert_eq!(fleet.alarm(), Some(Alarm { holding: 4, ..alarm }));
        names[1..4].iter().for_each(|name| fleet.note_holding(name, name, false));
        assert_eq!(fleet.alarm(), Some(Alarm { holding: 1, ..alarm }));
        fleet.forget(&names[4]);
        assert_eq!(fleet.alarm(), None);
        fleet.note_loss("ns/0", now);
        assert_eq!(fleet.alarm(), None, "it counts anew");
    }
}
