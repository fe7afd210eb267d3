//! Whatever a registry answers and a module drops, in whatever order and time: no endpoint goes earlier than the guard's
//! rows allow, new ones are there at once, and those that the operator took out of service go at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use polaris2istio::annotation::SOURCE;
use polaris2istio::guard::{Fleet, Guard, GuardInput, Release, Settings};
use polaris2istio::istio::ServiceEntry;
use polaris2istio::plan::Desired;
use polaris2istio::registry::Content;
use polaris2istio_core::model::{Instance, Location, Service};
use proptest::prelude::*;
use serde_json::json;

const HOSTS: usize = 12;
const ENTRIES: usize = 8;
const EMPTY_HOLD: Duration = Duration::from_secs(300);
const REMOVAL_HOLD: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Absent,
    Fit,
    Isolated,
}

#[derive(Clone, Debug)]
struct Step {
    entry: usize,
    seconds: u64,
    /// A new answer; without one the last one is given again.
    answer: Option<Option<Vec<State>>>,
    /// Whether there was an answer at all since the last step.
    answered: bool,
    /// Hosts that the module drops.
    drops: BTreeSet<usize>,
    release: bool,
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![4 => Just(State::Absent), 5 => Just(State::Fit), 1 => Just(State::Isolated)]
}

/// Whole lists, nearly empty ones, empty ones, and no service at all.
fn answer() -> impl Strategy<Value = Option<Vec<State>>> {
    let all = |state| Just(Some(vec![state; HOSTS]));
    let mixed = prop::collection::vec(state(), HOSTS).prop_map(Some);
    let few = prop::collection::vec(prop_oneof![9 => Just(State::Absent), 1 => Just(State::Fit)], HOSTS).prop_map(Some);
    prop_oneof![3 => all(State::Fit), 1 => all(State::Absent), 4 => mixed, 3 => few, 1 => Just(None)]
}

fn step() -> impl Strategy<Value = Step> {
    let drops = prop_oneof![
        6 => Just(BTreeSet::new()),
        1 => prop::collection::btree_set(0..HOSTS, 1..2),
        1 => prop::collection::btree_set(0..HOSTS, 1..HOSTS),
    ];
    let seconds = prop_oneof![5 => 0..4_u64, 3 => 4..20_u64, 1 => 200..400_u64];
    let parts = (0..ENTRIES, seconds, prop::option::of(answer()), any::<bool>(), drops, prop::bool::weighted(0.03));
    parts.prop_map(|(entry, seconds, answer, answered, drops, release)| Step {
        entry,
        seconds,
        answered: answered || answer.is_some(),
        answer,
        drops,
        release,
    })
}

/// A bystander's knowledge of an entry, from answers and results alone.
#[derive(Default)]
struct Bystander {
    live: ServiceEntry,
    guard: Guard,
    listed: Option<Vec<State>>,
    answers: u64,
    has: BTreeSet<usize>,
    /// When an endpoint was first kept although it was not listed, and the answers by then.
    kept_since: BTreeMap<usize, (Instant, u64)>,
    /// How many there were before the loss that is held, but for what was isolated since.
    level: usize,
}

impl Bystander {
    fn state(&self, host: usize) -> State {
        self.listed.as_ref().map_or(State::Absent, |listed| listed[host])
    }

    fn take(&mut self, step: &Step, now: Instant, fleet: &Fleet) -> Result<(), TestCaseError> {
        self.answers += u64::from(step.answered);
        if let Some(answer) = &step.answer {
            self.listed.clone_from(answer);
        }
        let given: BTreeSet<_> =
            (0..HOSTS).filter(|host| self.state(*host) == State::Fit && !step.drops.contains(host)).collect();
        let empty = (0..HOSTS).all(|host| self.state(host) == State::Absent);
        let (has, title) = self.decide(&given, step.release, now, fleet, step.entry);
        prop_assert!(given.is_subset(&has), "{title}: what comes is there at once");
        prop_assert!(has.iter().all(|host| given.contains(host) || self.has.contains(host)), "{title}: from nowhere");
        prop_assert!(has.iter().all(|host| self.state(*host) != State::Isolated), "{title}: what is isolated goes");
        let there = self.there(&given);
        self.level -= self.level.min(self.has.iter().filter(|host| self.state(**host) == State::Isolated).count());
        if !step.release {
            self.check_gone(&has, there, empty, now, fleet.alarm().is_some())?;
        }
        let vanished: BTreeSet<_> = has.iter().copied().filter(|host| self.state(*host) == State::Absent).collect();
        let let_go = self.has.difference(&has).filter(|host| self.state(**host) == State::Fit).count();
        self.level = if vanished.is_empty() { has.len() } else { self.level.max(there) - let_go };
        self.kept_since.retain(|host, _| vanished.contains(host));
        for host in vanished {
            self.kept_since.entry(host).or_insert((now, self.answers));
        }
        self.has = has;
        Ok(())
    }

    fn check_gone(
        &self,
        has: &BTreeSet<usize>,
        there: usize,
        empty: bool,
        now: Instant,
        alarm: bool,
    ) -> Result<(), TestCaseError> {
        let gone = |state| self.has.difference(has).copied().filter(move |host| self.state(*host) == state);
        let dropped = gone(State::Fit).count();
        prop_assert!(dropped * 10 <= self.has.len(), "the module drops {dropped} of {}", self.has.len());
        // What is replaced is no loss.
        if there >= self.level {
            return Ok(());
        }
        let least = if empty { EMPTY_HOLD } else { REMOVAL_HOLD };
        for host in gone(State::Absent) {
            prop_assert!(!alarm, "{host} goes during an alarm");
            match self.kept_since.get(&host) {
                Some((since, answers)) => {
                    let confirmed = now - *since >= least && self.answers >= answers + 2;
                    prop_assert!(confirmed, "{host}: after {:?} and {}", now - *since, self.answers - answers);
                }
                None => prop_assert!(!empty, "{host} of {} goes at once with all others", self.level),
            }
        }
        let at_once = gone(State::Absent).any(|host| !self.kept_since.contains_key(&host));
        let small = self.level < 4 || there * 2 >= self.level;
        prop_assert!(!at_once || small, "{there} of {} are left at once", self.level);
        Ok(())
    }

    /// How many the registry lists as fit and the module gives, or drops of those that the entry has.
    fn there(&self, given: &BTreeSet<usize>) -> usize {
        let dropped = self.has.difference(given).filter(|host| self.state(**host) == State::Fit);
        given.len() + dropped.count()
    }

    fn decide(
        &mut self,
        given: &BTreeSet<usize>,
        release: bool,
        now: Instant,
        fleet: &Fleet,
        entry: usize,
    ) -> (BTreeSet<usize>, String) {
        let service = format!("ns/{entry}");
        self.live.metadata.name = Some(service.clone());
        self.live.spec.resolution = Some(polaris2istio::istio::Resolution::Static);
        let endpoint = |host: &usize| serde_json::from_value(json!({"address": address(*host)})).unwrap();
        let mut desired = Desired {
            resolution: None,
            location: None,
            ports: vec![],
            endpoints: given.iter().map(endpoint).collect(),
            annotations: [(SOURCE.to_owned(), service.clone())].into(),
            revision: String::new(),
        };
        let answer = self.listed.as_deref().map(answer_of);
        let content = answer.map_or(Content::Missing, |service| Content::Listed(Arc::new(service)));
        let seen = GuardInput {
            live: &self.live,
            service: &service,
            content: &content,
            origins: Default::default(),
            answers: self.answers,
            is_answered: true,
            settings: Settings::default(),
            excluded: &[],
            addresses: &Default::default(),
            release: release.then_some(Release::All),
            promotion: 0,
            module: 0,
            restored: false,
            writable: true,
            now,
        };
        self.guard.decide(&mut desired, &seen, fleet);
        let has = desired
            .endpoints
            .iter()
            .map(|endpoint| endpoint.address.rsplit_once('.').unwrap().1.parse::<usize>().unwrap());
        (has.collect(), service)
    }
}

fn address(host: usize) -> String {
    format!("10.0.0.{host}")
}

fn answer_of(listed: &[State]) -> Service {
    let instance = |(host, state): (usize, &State)| Instance {
        id: host.to_string(),
        host: address(host),
        port: 80,
        protocol: "http".into(),
        version: String::new(),
        weight: 100,
        priority: 0,
        healthy: true,
        isolated: *state == State::Isolated,
        location: Location { region: String::new(), zone: String::new(), campus: String::new() },
        metadata: vec![],
    };
    let listed = listed.iter().enumerate().filter(|(_, state)| **state != State::Absent);
    let instances = listed.map(instance).collect();
    Service { namespace: "ns".into(), name: "s".into(), revision: String::new(), metadata: vec![], instances }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_earlier_than_its_row_allows(
        steps in prop::collection::vec(step(), 1..120),
        followed in prop_oneof![Just(ENTRIES), Just(1_000)],
    ) {
        let fleet = Fleet::new("20%".parse().unwrap());
        fleet.follow(followed, ENTRIES);
        let mut entries: Vec<_> = (0..ENTRIES).map(|_| Bystander::default()).collect();
        let mut now = Instant::now();
        for step in &steps {
            now += Duration::from_secs(step.seconds);
            entries[step.entry].take(step, now, &fleet)?;
        }
    }
}
