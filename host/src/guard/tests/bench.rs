//! An entry, a registry and a module that follow a table.
//!
//! Instances are single letters. A capital one is listed, and taken out of service on purpose; a digit stands for an unhealthy one:
//! `0` for `a`, `1` for `b`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use polaris2istio_core::model::{Instance, Location, Service};
use serde_json::json;

use crate::annotation::{MOST, SOURCE};
use crate::guard::past::Past;
use crate::guard::{Decision, Fleet, Guard, GuardInput, Kind, Release, Settings};
use crate::istio::ServiceEntry;
use crate::plan::Desired;
use crate::registry::Content;

/// A moment: the input of the guard, and the expected result.
pub(super) struct Step {
    second: u64,
    /// The registry's answer; `None` if it says nothing new.
    listed: Option<&'static str>,
    /// The instances that the module leaves out although they are fit.
    drops: &'static str,
    release: Option<Release>,
    promoted: bool,
    next_promoted: bool,
    restored: bool,
    swapped: bool,
    /// The registry was asked, and did not answer.
    unanswered: bool,
    edited: Option<&'static str>,
    endpoints: &'static str,
    holds: &'static [Kind],
}

/// At this second the registry lists these (`-` for no such service), and the entry shall have those.
pub(super) fn at(second: u64, listed: &'static str, endpoints: &'static str, holds: &'static [Kind]) -> Step {
    Step {
        second,
        listed: Some(listed),
        drops: "",
        release: None,
        promoted: false,
        next_promoted: false,
        restored: false,
        swapped: false,
        unanswered: false,
        edited: None,
        endpoints,
        holds,
    }
}

/// A moment at which the registry says nothing.
pub(super) fn silent(second: u64, endpoints: &'static str, holds: &'static [Kind]) -> Step {
    Step { listed: None, ..at(second, "", endpoints, holds) }
}

impl Step {
    /// The module leaves these out.
    pub(super) fn drops(self, drops: &'static str) -> Self {
        Self { drops, ..self }
    }

    /// The operator has released holds.
    pub(super) fn released(self, release: Release) -> Self {
        Self { release: Some(release), ..self }
    }

    /// The entry's operator has set this annotation to the second.
    pub(super) fn edited(self, annotation: &'static str) -> Self {
        Self { edited: Some(annotation), ..self }
    }

    /// The module was taken back.
    pub(super) fn restored(self) -> Self {
        Self { restored: true, ..self }
    }

    /// The registry does not answer.
    pub(super) fn unanswered(self) -> Self {
        Self { unanswered: true, ..self }
    }

    /// Another module gives the answer.
    pub(super) fn swapped(self) -> Self {
        Self { swapped: true, ..self }
    }

    /// The addresses and holds that shall be.
    pub(super) fn expected(&self) -> (&'static str, &'static [Kind]) {
        (self.endpoints, self.holds)
    }

    /// The operator has promoted the module that comes after this one.
    pub(super) fn next_promoted(self) -> Self {
        Self { next_promoted: true, ..self }
    }

    /// The operator has promoted the module.
    pub(super) fn promoted(self) -> Self {
        Self { promoted: true, ..self }
    }
}

/// One entry with its guard.
pub(super) struct Bench {
    pub(super) live: ServiceEntry,
    pub(super) settings: Settings,
    pub(super) now: Instant,
    service: String,
    guard: Guard,
    content: Content,
    answers: u64,
    /// The number of promotions, and the module of the last one.
    promoted: (u64, u64),
    module: u64,
    /// What the entry was last given.
    written: Option<Desired>,
}

impl Bench {
    /// An entry that has these endpoints, from this service.
    pub(super) fn new(endpoints: &str, source: &str) -> Self {
        let endpoints: Vec<_> = endpoints.chars().map(|host| json!({"address": host.to_string()})).collect();
        let entry = json!({
            "metadata": {"name": source, "namespace": "ns", "annotations": {SOURCE: source}},
            "spec": {"resolution": "DNS", "endpoints": endpoints},
        });
        Self {
            live: serde_json::from_value(entry).unwrap(),
            settings: Settings::default(),
            now: crate::clock::now(),
            service: source.into(),
            guard: Guard::default(),
            content: Content::Missing,
            answers: 0,
            promoted: (7, 1),
            module: 1,
            written: None,
        }
    }

    /// The entry names another service.
    pub(super) fn rebound(self, service: &str) -> Self {
        Self { service: service.into(), ..self }
    }

    /// Takes a step, and returns the addresses that the entry shall have.
    pub(super) fn perform(&mut self, step: &Step, fleet: &Fleet) -> (String, Decision) {
        if let Some(listed) = step.listed {
            self.answers += 1;
            self.content = if listed == "-" { Content::Missing } else { Content::Listed(Arc::new(service(listed))) };
        }
        self.module += u64::from(step.swapped);
        if step.promoted || step.next_promoted {
            self.promoted = (self.promoted.0 + 1, self.module + u64::from(step.next_promoted));
        }
        if let Some(annotation) = step.edited {
            let annotations = self.live.metadata.annotations.get_or_insert_default();
            annotations.insert(annotation.into(), format!("{}s", step.second));
        }
        let letters = step.listed.unwrap_or_else(|| panic!("the first step has an answer"));
        let mut desired = desired(letters, step.drops, &self.service);
        let input = GuardInput {
            live: &self.live,
            service: &self.service,
            content: &self.content,
            origins: Default::default(),
            answers: self.answers,
            is_answered: !step.unanswered,
            settings: self.settings,
            excluded: &[],
            addresses: &Default::default(),
            release: step.release,
            promotion: if self.promoted.1 == self.module { self.promoted.0 } else { 0 },
            module: self.module,
            restored: step.restored,
            writable: true,
            now: self.now + Duration::from_secs(step.second),
        };
        let decision = self.guard.decide(&mut desired, &input, fleet);
        let found = desired.endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect();
        self.written = Some(desired);
        (found, decision)
    }

    /// Another process goes on, with this of the past.
    pub(super) fn restart(&mut self, past: Past) {
        let written = self.written.take().unwrap();
        self.live.spec.endpoints = written.endpoints.to_vec();
        let annotations = self.live.metadata.annotations.get_or_insert_default();
        annotations.remove(MOST);
        annotations.extend(written.annotations.get(MOST).map(|most| (MOST.to_owned(), most.clone())));
        self.guard = Guard::default();
        self.guard.remember(past);
    }

    /// Takes steps one after the other, far from any fleet's alarm.
    #[track_caller]
    pub(super) fn check(mut self, mut steps: Vec<Step>) {
        let fleet = Fleet::new("100%".parse().unwrap());
        let mut last = None;
        for (number, step) in steps.iter_mut().enumerate() {
            let silent = step.listed.is_none();
            step.listed = step.listed.or(last);
            last = step.listed;
            let answers = self.answers;
            let (found, decision) = self.perform(step, &fleet);
            if silent {
                self.answers = answers;
            }
            let kinds: Vec<_> = decision.holds.iter().map(|hold| hold.kind).collect();
            assert_eq!((found.as_str(), kinds.as_slice()), step.expected(), "step {number}");
        }
    }
}

fn service(letters: &str) -> Service {
    let location = || Location { region: String::new(), zone: String::new(), campus: String::new() };
    let instance = |letter: char| Instance {
        id: letter.to_string(),
        host: letter
            .to_digit(10)
            .map_or(letter.to_ascii_lowercase(), |digit| char::from(b'a' + digit as u8))
            .to_string(),
        port: 80,
        protocol: "http".into(),
        version: String::new(),
        weight: 100,
        priority: 0,
        healthy: !letter.is_ascii_digit(),
        isolated: letter.is_ascii_uppercase(),
        location: location(),
        metadata: vec![],
    };
    let instances = letters.chars().map(instance).collect();
    Service { namespace: "ns".into(), name: "s".into(), revision: String::new(), metadata: vec![], instances }
}

/// The module's answer: the fit ones or, if there is none, the unhealthy ones.
fn desired(listed: &str, drops: &str, source: &str) -> Desired {
    let any_healthy = listed.contains(|letter: char| letter.is_ascii_lowercase());
    let served = |letter: char| match letter.to_digit(10) {
        Some(digit) if !any_healthy => Some(char::from(b'a' + digit as u8)),
        _ => Some(letter).filter(char::is_ascii_lowercase),
    };
    let fit = listed.chars().filter_map(served).filter(|letter| !drops.contains(*letter));
    let endpoint = |host: char| serde_json::from_value(json!({"address": host.to_string()})).unwrap();
    Desired {
        resolution: None,
        location: None,
        ports: vec![],
        endpoints: fit.map(endpoint).collect(),
        annotations: [(SOURCE.to_owned(), source.to_owned())].into(),
        revision: "r".into(),
    }
}
