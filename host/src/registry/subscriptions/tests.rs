//! Subscriptions in any order: nothing is lost, and nothing counts that is out of date.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn service(name: &str, bytes: usize) -> Service {
    let metadata = vec![("k".to_owned(), "x".repeat(bytes))];
    let (namespace, name, revision) = ("shop".into(), name.into(), String::new());
    Service { namespace, name, revision, metadata, instances: Vec::new() }
}

fn listed(name: &str, bytes: usize) -> Content {
    Content::Listed(Arc::new(service(name, bytes)))
}

fn ticket(subscriptions: &Subscriptions, service: &ServiceKey) -> Ticket {
    subscriptions.ticket(&subscriptions.subscribed[service])
}

fn failure(problem: &str) -> Arc<RegistryError> {
    Arc::new(RegistryError::NotJson { origin: "a".into(), problem: problem.into() })
}

#[test]
fn all_services_together_are_bounded() {
    let (a, b, now) = (ServiceKey::new("shop", "a"), ServiceKey::new("shop", "b"), Instant::now());
    let mut all = Subscriptions::default();
    let number = all.subscribe(&a);
    all.subscribe(&b);
    let (of_a, of_b) = (ticket(&all, &a), ticket(&all, &b));
    let over = |all: &Subscriptions, bytes| all.over(&b, &service("b", bytes)).is_some();
    assert!(!over(&all, 100 << 20));
    all.answered(&a, of_a, listed("a", 100 << 20), now);
    assert!(over(&all, 30 << 20));
    assert!(!over(&all, 20 << 20) && !over(&all, 1 << 10));
    all.answered(&b, of_b, listed("b", 20 << 20), now);
    assert!(over(&all, 30 << 20) && !over(&all, 19 << 20));
    // What is gone makes room, whichever way it went.
    all.answered(&a, of_a, Content::Missing, now);
    assert!(!over(&all, 100 << 20));
    all.answered(&a, of_a, listed("a", 100 << 20), now);
    all.unsubscribe(&a, number);
    assert!(!over(&all, 100 << 20));
    all.subscribe(&a);
    all.answered(&a, ticket(&all, &a), listed("a", 100 << 20), now);
    all.subscribe(&a);
    assert!(!over(&all, 100 << 20));
}

#[test]
fn a_failure_stands_beside_what_is_known_until_an_answer() {
    let (mut all, service) = (Subscriptions::default(), ServiceKey::new("shop", "cart"));
    all.subscribe(&service);
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let other = Arc::new(RegistryError::NotInstances { origin: "a".into(), problem: "garbled".into() });
    // What comes when, and since when there is what trouble.
    let rows = [
        (1, Some(failure("none yet")), Some((1, "none yet"))),
        (2, None, None),
        (3, Some(failure("cut")), Some((3, "cut"))),
        (4, Some(other), Some((3, "garbled"))),
        (5, None, None),
        (6, Some(failure("cut")), Some((6, "cut"))),
    ];
    for (second, failure, trouble) in rows {
        let (ticket, failed) = (ticket(&all, &service), failure.is_some());
        match &failure {
            Some(error) => assert!(matches!(all.failed(&service, ticket, error, at(second)), Noted::New(1))),
            None => _ = all.answered(&service, ticket, Content::Missing, at(second)),
        }
        let Report { state, answered, .. } = all.next_report().unwrap();
        assert!(answered != failed && all.next_report().is_none(), "{second}");
        let received = state.last.map(|last| last.received);
        assert_eq!(received == Some(at(second)), !failed, "a failure is no answer");
        let seen = state.trouble.as_ref().map(|trouble| (trouble.since, trouble.error.to_string()));
        match (seen, trouble) {
            (None, None) => {}
            (Some((since, words)), Some((expected, part))) => {
                assert!(since == at(expected) && words.contains(part), "{second}: {words}");
            }
            (seen, expected) => panic!("{second}: {seen:?}, not {expected:?}"),
        }
    }
}

/// A registry that answers late, a follower that looks now and then, and a reader that reads now and then.
struct Play {
    all: Subscriptions,
    now: Instant,
    random: StdRng,
    /// The subscriptions that there are.
    numbers: BTreeMap<ServiceKey, u64>,
    /// The follower's own list, as of when it last looked.
    followed: BTreeMap<Arc<ServiceKey>, Ticket>,
    term: u64,
    /// Questions under way; each answer says by which ticket it was asked for.
    asked: Vec<(Arc<ServiceKey>, Ticket)>,
    /// The last answer that the reader has read of each service.
    read: BTreeMap<ServiceKey, LastAnswer>,
}

fn names() -> impl Iterator<Item = ServiceKey> {
    ["a", "b", "c"].into_iter().map(|name| ServiceKey::new("shop", name))
}

/// An answer that tells by which ticket it was asked for.
fn content(service: &ServiceKey, ticket: Ticket) -> Content {
    let metadata = vec![("ticket".to_owned(), format!("{ticket:?}"))];
    let (namespace, name) = (service.namespace.clone(), service.name.clone());
    Content::Listed(Arc::new(Service { namespace, name, revision: String::new(), metadata, instances: Vec::new() }))
}

impl Play {
    fn new(seed: u64) -> Self {
        Self {
            all: Subscriptions::default(),
            now: Instant::now(),
            random: StdRng::seed_from_u64(seed),
            numbers: BTreeMap::new(),
            followed: BTreeMap::new(),
            term: 0,
            asked: Vec::new(),
            read: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(1);
        let services: Vec<_> = names().collect();
        let service = &services[self.random.random_range(0..services.len())];
        match self.random.random_range(0..10) {
            0..=1 => _ = self.numbers.insert(service.clone(), self.all.subscribe(service)),
            2..=3 => {
                if let Some(number) = self.numbers.remove(service) {
                    self.all.unsubscribe(service, number);
                }
            }
            4 => self.all.change_mode(|mode| mode.term += 1),
            5..=6 => self.follow(),
            7..=8 => self.answer(),
            _ => self.read(),
        }
        self.check();
    }

    /// The follower looks at what changed, and asks.
    fn follow(&mut self) {
        let changes = self.all.take_changes();
        if std::mem::replace(&mut self.term, changes.mode.term) != changes.mode.term {
            let tickets: Vec<_> =
                self.followed.iter().map(|(key, old)| (key.clone(), old.in_term(self.term))).collect();
            self.followed = tickets.iter().cloned().collect();
            self.asked.extend(tickets);
        }
        for (service, ticket) in changes.services {
            let Some(ticket) = ticket else {
                self.followed.remove(&service);
                continue;
            };
            self.followed.insert(Arc::clone(&service), ticket);
            self.asked.push((service, ticket));
        }
    }

    /// One of the questions is answered, or fails and is asked again; whether it still counts is not known out there.
    fn answer(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let (service, ticket) = self.asked.swap_remove(self.random.random_range(0..self.asked.len()));
        match self.random.random_range(0..4) {
            0 => {
                self.all.failed(&service, ticket, &failure("cut"), self.now);
                return self.asked.push((service, ticket));
            }
            1 => _ = self.all.unchanged(&service, ticket, self.now),
            _ => {}
        }
        self.all.answered(&service, ticket, content(&service, ticket), self.now);
    }

    fn read(&mut self) {
        if let Some(report) = self.all.next_report()
            && report.answered
        {
            self.read.insert((*report.service).clone(), report.state.last.unwrap());
        }
    }

    /// Whatever happened: what counts as current was asked for by the present ticket.
    fn check(&self) {
        for (service, one) in &self.all.subscribed {
            let Some(last) = &one.state.last else { continue };
            let ticket = Ticket { subscription: one.number, term: last.term };
            assert_eq!(last.content, content(service, ticket), "{service}");
        }
        assert_eq!(self.all.len(), self.numbers.len());
        let pending = self.all.subscribed.values().filter(|one| one.is_pending()).count();
        assert_eq!(self.all.waiting.len(), pending, "each waits once, and nothing else waits");
        assert_eq!(self.all.kept, self.all.subscribed.values().map(|one| one.size).sum::<usize>());
    }

    /// Once everybody has done his part, the reader has read the present content of every service that is subscribed to.
    fn end(mut self) {
        self.follow();
        while !self.asked.is_empty() {
            self.answer();
            self.check();
        }
        while self.all.has_reports() {
            self.read();
        }
        for service in self.numbers.keys() {
            let read = self.read.get(service).unwrap_or_else(|| panic!("{service} was never told"));
            assert_eq!(read.content, content(service, ticket(&self.all, service)), "{service}");
        }
        assert!(self.all.troubled.is_empty(), "{:?}", self.all.troubled);
    }
}

#[test]
fn no_order_of_subscriptions_and_answers_loses_one() {
    for seed in 0..3_000 {
        let mut play = Play::new(seed);
        (0..40).for_each(|_| play.step());
        play.end();
    }
}

#[test]
fn a_subscription_that_ends_and_begins_unseen_is_told_anew() {
    let (mut all, service, now) = (Subscriptions::default(), ServiceKey::new("shop", "cart"), Instant::now());
    let first = all.subscribe(&service);
    let before = all.take_changes().services.remove(0).1.unwrap();
    all.answered(&service, before, Content::Missing, now);
    assert!(all.next_report().is_some());
    all.unsubscribe(&service, first);
    all.subscribe(&service);
    assert!(all.state(&service).unwrap().last.is_none(), "nothing is known under the new one");
    assert_eq!(all.answered(&service, before, Content::Missing, now), None, "what was asked for before does not count");
    let changes = all.take_changes().services;
    let [(_, Some(after))] = changes[..] else { panic!("{changes:?}") };
    assert_ne!(before, after);
    assert_eq!(all.answered(&service, after, Content::Missing, now), Some(true));
    assert!(all.next_report().is_some_and(|report| report.answered));
    // The end of the former one, told late, is not the end of this one.
    all.unsubscribe(&service, first);
    assert!(all.state(&service).is_some());
}
