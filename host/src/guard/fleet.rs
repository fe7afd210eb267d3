//! Many services that lose instances at once: that is a registry that lost its data, not a thousand deployments.
//!
//! There is one fleet for all entries. While its alarm is on, every disappearance is held, without end.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::notice::{Notice, NoticeKind};
use super::recent::Recent;
use crate::percent::Percent;

/// Losses within so long count together.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Fewer services than these raise no alarm, whatever their share.
const AT_LEAST: usize = 5;
/// Of fewer services than [`AT_LEAST`], all make a notice, if there are as many as these.
const A_FEW: usize = 2;

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
    /// Entries that follow them.
    entries: usize,
    lost: Recent,
    isolated: Recent,
    alarm: Option<Alarm>,
    awaited: Awaited,
    /// Entries that hold because of the alarm.
    holding: HashSet<String>,
    notices: BTreeMap<NoticeKind, Notice>,
    /// Services of the notice that all are lost.
    all_lost: HashSet<String>,
}

/// What must be decided on before the alarm can be over.
#[derive(Debug)]
enum Awaited {
    /// The services whose loss raised it.
    These(HashSet<String>),
    /// All entries, as it was raised before this process: these were decided on.
    AllBut(HashSet<String>),
}

impl Default for Awaited {
    fn default() -> Self {
        Self::These(HashSet::new())
    }
}

impl Fleet {
    /// A fleet that raises the alarm when more than this share of services lose half.
    pub fn new(limit: Percent) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Sets the number of followed services, and of the entries that follow them.
    pub fn follow(&self, services: usize, entries: usize) {
        let mut state = self.lock();
        (state.followed, state.entries) = (services, entries);
        state.end_all_lost();
    }

    /// The alarm, if it is on.
    pub fn alarm(&self) -> Option<Alarm> {
        let state = self.lock();
        state.alarm.map(|alarm| Alarm { holding: state.holding.len(), ..alarm })
    }

    /// What is told of the fleet beside the alarm.
    pub fn notices(&self, now: Instant) -> Vec<Notice> {
        self.lock().notices.values().filter(|notice| notice.is_shown(now)).copied().collect()
    }

    /// Ends the alarm and forgets all losses: the operator says that they are real, or holds start anew.
    pub fn reset(&self) {
        self.restore(None);
    }

    /// Forgets all, and goes on with an alarm that was raised before this process.
    pub(super) fn restore(&self, alarm: Option<Alarm>) {
        let mut state = self.lock();
        let awaited = Awaited::AllBut(HashSet::new());
        *state = State { followed: state.followed, entries: state.entries, alarm, awaited, ..State::default() };
    }

    /// Notes that an entry is gone, or names no service any more.
    pub fn forget(&self, entry: &str) {
        let mut state = self.lock();
        state.holding.remove(entry);
        if let Awaited::AllBut(entries) = &mut state.awaited {
            entries.remove(entry);
        }
        state.end_if_over();
    }

    /// Notes that a service is not followed any more.
    pub(crate) fn unfollow(&self, service: &str) {
        let mut state = self.lock();
        state.lost.remove(service);
        state.isolated.remove(service);
        if let Awaited::These(services) = &mut state.awaited {
            services.remove(service);
        }
        state.end_if_over();
    }

    /// Notes a loss of half of a service's endpoints, or all.
    pub(super) fn note_loss(&self, service: &str, now: Instant) {
        let mut state = self.lock();
        let services = state.lost.note(service, now, WINDOW);
        let followed = state.followed.max(services);
        if state.alarm.is_none() && self.is_many(services, followed) {
            state.alarm = Some(Alarm { since: now, services, followed, holding: 0 });
            state.awaited = Awaited::These(state.lost.services().cloned().collect());
        } else if is_all_of_a_few(services, followed) && state.all_lost.is_empty() {
            state.all_lost = state.lost.services().cloned().collect();
            let kind = NoticeKind::AllLost;
            state.notices.insert(kind, Notice { kind, since: now, services, followed });
        }
    }

    /// Notes that a service lists its lost instances again, or that its loss is old.
    pub(super) fn note_return(&self, service: &str) {
        let mut state = self.lock();
        state.lost.remove(service);
        if state.all_lost.contains(service) {
            state.all_lost.clear();
            state.end_all_lost();
        }
    }

    /// Notes that somebody isolated half of a service's instances, or all.
    pub(super) fn note_isolated(&self, service: &str, now: Instant) {
        let mut state = self.lock();
        let services = state.isolated.note(service, now, WINDOW);
        let followed = state.followed.max(services);
        state.notices.retain(|_, notice| notice.is_shown(now));
        if self.is_many(services, followed) || is_all_of_a_few(services, followed) {
            let kind = NoticeKind::Isolated;
            let since = state.notices.get(&kind).map_or(now, |notice| notice.since);
            state.notices.insert(kind, Notice { kind, since, services, followed });
        }
    }

    /// Notes whether an entry holds because of the alarm. The last one that does not ends it.
    pub(super) fn note_holding(&self, entry: &str, service: &str, holds: bool) {
        let mut state = self.lock();
        if holds {
            state.holding.insert(entry.to_owned());
        } else {
            state.holding.remove(entry);
        }
        state.note_seen(entry, service);
    }

    /// Notes that there is nothing to decide for an entry of a service: it is unfit, or holds what it should.
    pub(crate) fn note_seen(&self, entry: &str, service: &str) {
        self.lock().note_seen(entry, service);
    }

    fn is_many(&self, services: usize, followed: usize) -> bool {
        services >= AT_LEAST && self.limit.is_passed(services, followed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_all_of_a_few(services: usize, followed: usize) -> bool {
    (A_FEW..AT_LEAST).contains(&followed) && services == followed
}

impl State {
    fn note_seen(&mut self, entry: &str, service: &str) {
        match &mut self.awaited {
            Awaited::These(services) => services.remove(service),
            Awaited::AllBut(entries) => self.alarm.is_some() && entries.insert(entry.to_owned()),
        };
        self.end_if_over();
    }

    fn end_if_over(&mut self) {
        let decided = match &self.awaited {
            Awaited::These(services) => services.is_empty(),
            Awaited::AllBut(entries) => entries.len() >= self.entries.max(1),
        };
        if self.alarm.is_some() && decided && self.holding.is_empty() {
            let notices = std::mem::take(&mut self.notices);
            *self = Self { followed: self.followed, entries: self.entries, notices, ..Self::default() };
        }
    }

    /// Ends the notice that all services are lost, unless it is of just those that are followed.
    fn end_all_lost(&mut self) {
        if self.all_lost.len() != self.followed {
            self.all_lost.clear();
            self.notices.remove(&NoticeKind::AllLost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(followed: usize) -> (Fleet, Instant) {
        let fleet = Fleet::new("20%".parse().unwrap());
        fleet.follow(followed, followed);
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

    #[test]
    fn an_alarm_of_before_this_process_stays_until_all_entries_were_looked_at() {
        let (fleet, now) = fleet(3);
        fleet.restore(Some(Alarm { since: now, services: 5, followed: 10, holding: 7 }));
        fleet.note_holding("e0", "ns/0", false);
        fleet.note_holding("e1", "ns/1", false);
        fleet.note_holding("e1", "ns/1", false);
        assert!(fleet.alarm().is_some());
        // One that is gone counts for nothing.
        fleet.forget("e1");
        fleet.follow(2, 2);
        assert!(fleet.alarm().is_some());
        fleet.note_seen("e2", "ns/2");
        assert_eq!(fleet.alarm(), None);
    }

    #[test]
    fn a_service_that_is_followed_no_more_keeps_no_alarm() {
        let (fleet, now) = fleet(10);
        let names: Vec<_> = (0..5).map(|number| format!("ns/{number}")).collect();
        names.iter().for_each(|name| fleet.note_loss(name, now));
        names[1..].iter().for_each(|name| fleet.note_holding(name, name, false));
        assert!(fleet.alarm().is_some());
        fleet.unfollow(&names[0]);
        fleet.forget(&names[0]);
        assert_eq!(fleet.alarm(), None);
    }

    #[track_caller]
    fn check_notices(fleet: &Fleet, now: Instant, expected: &[NoticeKind]) {
        let kinds: Vec<_> = fleet.notices(now).iter().map(|notice| notice.kind).collect();
        assert_eq!((kinds.as_slice(), fleet.alarm()), (expected, None));
    }

    #[test]
    fn all_of_a_few_services_are_told_and_not_held() {
        for followed in 2..AT_LEAST {
            let (fleet, now) = fleet(followed);
            for number in 0..followed {
                check_notices(&fleet, now, &[]);
                fleet.note_loss(&format!("ns/{number}"), now);
            }
            check_notices(&fleet, now + WINDOW * 99, &[NoticeKind::AllLost]);
            fleet.note_return("ns/0");
            check_notices(&fleet, now, &[]);
        }
        let (fleet, now) = fleet(1);
        fleet.note_loss("ns/0", now);
        check_notices(&fleet, now, &[]);
    }

    #[test]
    fn a_mass_isolation_is_told_for_a_while() {
        let (fleet, now) = fleet(20);
        for number in 0..4 {
            fleet.note_isolated(&format!("ns/{number}"), now);
        }
        check_notices(&fleet, now, &[]);
        fleet.note_isolated("ns/4", now);
        check_notices(&fleet, now + WINDOW, &[NoticeKind::Isolated]);
        check_notices(&fleet, now + WINDOW * 10, &[]);
    }
}
