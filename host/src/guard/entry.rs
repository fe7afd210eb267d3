//! The guard of one entry: it decides which of the endpoints that a module's answer lacks are held, and for how long.
//!
//! It compares the answer with the entry's last endpoints, port by port. The registry's own list tells why an endpoint port
//! is gone: the operator took it out of service (it goes), it vanished from the list, or it is listed as fit and the module
//! drops it. Time comes in as an argument.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::endpoint_port::{EndpointPort, all_endpoint_ports};
use super::fleet::Fleet;
use super::guard_input::{Decision, GuardInput, Release};
use super::hold::{Hold, Kind, Reason};
use super::instance_states::{InstanceState, InstanceStates, listed_at};
use super::merge::put_back;
use super::operator_fingerprint::OperatorFingerprint;
use super::origin::Origins;
use crate::annotation::SOURCE;
use crate::istio::{Endpoint, ServiceEntry};
use crate::plan::Desired;
use crate::registry::Content;

/// The least endpoint ports that can be a mass, however many of them vanish.
const MASS_AT_LEAST: usize = 4;
/// The answers that must agree, beside the first, before a mass removal is trusted.
const AGREEING: u64 = 2;

/// The guard of one entry.
#[derive(Debug, Default)]
pub struct Guard {
    /// The endpoints that the entry was last given. They are restored if another writer clears them meanwhile.
    kept: Option<Arc<[Endpoint]>>,
    held: HashMap<EndpointPort, Ground>,
    /// Endpoint ports that the module was allowed to drop although they are listed as fit: a tenth and another tenth are two.
    dropped: HashSet<EndpointPort>,
    empty_since: Option<Instant>,
    /// The operators' doings by the last decision that could be written.
    fingerprint: Option<OperatorFingerprint>,
    /// The origins of the kept endpoints, as far as the module has told them.
    origins: Origins,
    /// Where the registry last listed each instance, by its id.
    listed: HashMap<String, EndpointPort>,
}

/// The ground for holding an endpoint port.
#[derive(Clone, Debug)]
struct Ground {
    kind: Kind,
    since: Instant,
    /// The number of the registry's answers by then.
    answers: u64,
}

/// The endpoint ports that the module's answer lacks, by cause.
#[derive(Default)]
struct Gone {
    out_of_service: Vec<EndpointPort>,
    vanished: Vec<EndpointPort>,
    dropped: Vec<EndpointPort>,
}

impl Guard {
    /// Puts the held endpoints back into `desired`.
    pub fn decide(&mut self, desired: &mut Desired, input: &GuardInput<'_>, fleet: &Fleet) -> Decision {
        let base = self.kept.take().unwrap_or_else(|| input.live.spec.endpoints.clone().into());
        let known = self.fingerprint;
        if input.writable {
            self.fingerprint = Some(OperatorFingerprint::of(input));
        }
        let endpoint_ports = all_endpoint_ports(&base);
        let from = rebound_from(desired, input.live);
        let (held, on_purpose) = match &from {
            Some(_) => (self.hold_rebound(desired, endpoint_ports.iter(), input), 0),
            None => self.find_held(desired, &endpoint_ports, input, known, fleet),
        };
        if !input.content.instances().is_empty() {
            self.listed = listed_at(input.content).into_iter().map(|(id, place)| (id.to_owned(), place)).collect();
        }
        self.held = held;
        let asked = self.held.len();
        if asked > 0 {
            put_back(&base, desired, &mut self.held, input.live, input.addresses);
        }
        if let Some(from) = from.filter(|_| !self.held.is_empty()) {
            desired.annotations.insert(SOURCE.into(), from);
        }
        self.kept = Some(Arc::clone(&desired.endpoints));
        self.keep_origins(&input.origins);
        let holds = self.holds(endpoint_ports.len(), input);
        fleet.note_holding(&input.live.title(), input.service, holds.iter().any(|hold| hold.kind == Kind::Fleet));
        let requeue_after = holds.iter().filter_map(|hold| Some(self.recheck_after(hold.until?, input))).min();
        Decision { holds, on_purpose, misfits: asked - self.held.len(), requeue_after }
    }

    /// Starts anew from the entry's present content, which another writer may have written.
    pub fn restart(&mut self) {
        *self = Self { fingerprint: self.fingerprint, ..Self::default() };
    }

    /// Holds the endpoints of an entry that was pointed at another service, until that has some.
    fn hold_rebound<'a>(
        &mut self,
        desired: &Desired,
        endpoint_ports: impl Iterator<Item = &'a EndpointPort>,
        input: &GuardInput<'_>,
    ) -> HashMap<EndpointPort, Ground> {
        self.empty_since = None;
        self.dropped.clear();
        if !desired.endpoints.is_empty() || input.release == Some(Release::All) {
            return HashMap::new();
        }
        endpoint_ports
            .map(|endpoint_port| (endpoint_port.clone(), self.ground(endpoint_port, Kind::Rebound, input)))
            .collect()
    }

    /// Finds the endpoint ports that are gone, and those of them that are held. Returns also the number that go on purpose.
    fn find_held(
        &mut self,
        desired: &Desired,
        endpoint_ports: &HashSet<EndpointPort>,
        input: &GuardInput<'_>,
        known: Option<OperatorFingerprint>,
        fleet: &Fleet,
    ) -> (HashMap<EndpointPort, Ground>, usize) {
        let present = all_endpoint_ports(&desired.endpoints);
        let gone = self.sort(endpoint_ports, &present, input);
        if !input.content.instances().is_empty() {
            self.empty_since = None;
        }
        if gone.vanished.is_empty() && !self.held.is_empty() {
            fleet.note_return(input.service);
        }
        if input.release == Some(Release::All) {
            self.dropped.clear();
            return (HashMap::new(), endpoint_ports.difference(&present).count());
        }
        let mut held = self.hold_vanished(gone.vanished, endpoint_ports.len(), input, fleet);
        let (wanted, dropped) = self.split_explained(gone.dropped, known);
        held.extend(self.hold_dropped(dropped, endpoint_ports.len(), input));
        (held, gone.out_of_service.len() + wanted)
    }

    fn sort(
        &mut self,
        endpoint_ports: &HashSet<EndpointPort>,
        present: &HashSet<EndpointPort>,
        input: &GuardInput<'_>,
    ) -> Gone {
        let mut gone = Gone::default();
        let missing: Vec<_> = endpoint_ports.difference(present).collect();
        if missing.is_empty() && self.dropped.is_empty() {
            return gone;
        }
        let states = InstanceStates::of_content(input.content, input.live);
        let mut dropped = std::mem::take(&mut self.dropped);
        dropped.retain(|endpoint_port| {
            !present.contains(endpoint_port) && self.state(&states, endpoint_port) == Some(InstanceState::Fit)
        });
        self.dropped = dropped;
        let moved = self.moved(input.content);
        for endpoint_port in missing {
            let sorted = match self.state(&states, endpoint_port) {
                // Nobody answers there any more, and nothing is lost.
                None if moved.contains(endpoint_port) => &mut gone.out_of_service,
                None => &mut gone.vanished,
                Some(InstanceState::OutOfService) => &mut gone.out_of_service,
                Some(InstanceState::Fit) => &mut gone.dropped,
            };
            sorted.push(endpoint_port.clone());
        }
        gone
    }

    /// The endpoint ports that instances have left for another port of their address.
    fn moved(&self, content: &Content) -> HashSet<EndpointPort> {
        let now = listed_at(content);
        let left = |(id, place): (&String, &EndpointPort)| {
            let new = now.get(id.as_str())?;
            (new.address == place.address && new.port != place.port).then(|| place.clone())
        };
        self.listed.iter().filter_map(left).collect()
    }

    /// The state of the instances at an endpoint port, or of those that it stands for.
    fn state(&self, states: &InstanceStates, endpoint_port: &EndpointPort) -> Option<InstanceState> {
        let origins = self.origins.0.get(endpoint_port).map_or(std::slice::from_ref(endpoint_port), Vec::as_slice);
        origins.iter().filter_map(|origin| states.of(origin)).max()
    }

    /// Keeps the origins of the entry's endpoints, and of those that may still count as dropped.
    fn keep_origins(&mut self, told: &Origins) {
        if self.origins.0.is_empty() && told.0.is_empty() {
            return;
        }
        let Self { held, dropped, origins, .. } = self;
        origins.0.retain(|endpoint_port, _| held.contains_key(endpoint_port) || dropped.contains(endpoint_port));
        origins.0.extend(told.0.iter().map(|(endpoint_port, own)| (endpoint_port.clone(), own.clone())));
    }

    /// Finds which of the endpoint ports that vanished from the registry's list are held.
    fn hold_vanished(
        &mut self,
        vanished: Vec<EndpointPort>,
        of: usize,
        input: &GuardInput<'_>,
        fleet: &Fleet,
    ) -> HashMap<EndpointPort, Ground> {
        let fresh = vanished.iter().filter(|endpoint_port| !self.held.contains_key(endpoint_port)).count();
        if fresh > 0 && fresh * 2 >= of.saturating_sub(self.held.len()) {
            fleet.note_loss(input.service, input.now);
        }
        let released = |endpoint_port: &EndpointPort| {
            input.release == Some(Release::Fleet) && self.is_held(endpoint_port, Kind::Fleet).is_some()
        };
        let vanished: Vec<_> = vanished.into_iter().filter(|endpoint_port| !released(endpoint_port)).collect();
        if fleet.alarm().is_some() {
            return self.grounds(vanished, Kind::Fleet, input);
        }
        if input.content.instances().is_empty() {
            let since = *self.empty_since.get_or_insert(input.now);
            let over = input.settings.empty_hold.end(since).is_some_and(|end| end <= input.now);
            let ground = Ground { kind: Kind::Empty, since, answers: input.answers };
            return vanished
                .into_iter()
                .filter(|_| !over)
                .map(|endpoint_port| (endpoint_port, ground.clone()))
                .collect();
        }
        let (earlier, others): (Vec<_>, Vec<_>) =
            vanished.into_iter().partition(|endpoint_port| self.is_held(endpoint_port, Kind::Removal).is_some());
        let rest = of.saturating_sub(self.held.values().filter(|ground| ground.kind == Kind::Removal).count());
        let mass = rest >= MASS_AT_LEAST && others.len() * 2 > rest;
        // After an empty answer instances come back one by one: the first must not clear the others.
        let waits = |endpoint_port: &EndpointPort| mass || self.is_held(endpoint_port, Kind::Empty).is_some();
        let others = others.into_iter().filter(waits).collect();
        let mut held = self.grounds(earlier, Kind::Removal, input);
        held.extend(self.grounds(others, Kind::Removal, input));
        held.retain(|_, ground| !removal_is_over(ground, input));
        held
    }

    /// Splits off the endpoint ports that the module drops because an operator wants it so, having promoted the module or just
    /// changed the entry's ports or annotations. Returns the number of these, and the others.
    fn split_explained(
        &mut self,
        dropped: Vec<EndpointPort>,
        known: Option<OperatorFingerprint>,
    ) -> (usize, Vec<EndpointPort>) {
        let (Some(known), Some(fingerprint)) = (known, self.fingerprint) else { return (0, dropped) };
        if fingerprint.promotions != known.promotions {
            self.dropped.clear();
            return (dropped.len(), Vec::new());
        }
        if fingerprint.entry == known.entry {
            return (0, dropped);
        }
        // A drop before the change was not caused by it.
        let (earlier, fresh): (Vec<_>, Vec<_>) =
            dropped.into_iter().partition(|endpoint_port| self.is_held(endpoint_port, Kind::Module).is_some());
        (fresh.len(), earlier)
    }

    /// Finds which of the endpoint ports that the module drops, though they are listed as fit, are held.
    fn hold_dropped(
        &mut self,
        dropped: Vec<EndpointPort>,
        of: usize,
        input: &GuardInput<'_>,
    ) -> HashMap<EndpointPort, Ground> {
        let earlier = self.dropped.len();
        let limit = input.settings.module_removal_limit;
        if limit.is_passed(dropped.len() + earlier, of + earlier) {
            return self.grounds(dropped, Kind::Module, input);
        }
        self.dropped.extend(dropped);
        HashMap::new()
    }

    fn is_held(&self, endpoint_port: &EndpointPort, kind: Kind) -> Option<&Ground> {
        self.held.get(endpoint_port).filter(|ground| ground.kind == kind)
    }

    /// The ground on which an endpoint port is held already, or one from now on.
    fn ground(&self, endpoint_port: &EndpointPort, kind: Kind, input: &GuardInput<'_>) -> Ground {
        let new = || Ground { kind, since: input.now, answers: input.answers };
        self.is_held(endpoint_port, kind).cloned().unwrap_or_else(new)
    }

    fn grounds(
        &self,
        endpoint_ports: Vec<EndpointPort>,
        kind: Kind,
        input: &GuardInput<'_>,
    ) -> HashMap<EndpointPort, Ground> {
        endpoint_ports
            .into_iter()
            .map(|endpoint_port| (endpoint_port.clone(), self.ground(&endpoint_port, kind, input)))
            .collect()
    }

    fn holds(&self, of: usize, input: &GuardInput<'_>) -> Vec<Hold> {
        let kinds = [Kind::Empty, Kind::Removal, Kind::Fleet, Kind::Rebound, Kind::Module];
        kinds.into_iter().filter_map(|kind| self.hold(kind, of, input)).collect()
    }

    fn hold(&self, kind: Kind, of: usize, input: &GuardInput<'_>) -> Option<Hold> {
        let grounds = || self.held.values().filter(|ground| ground.kind == kind);
        let since = grounds().map(|ground| ground.since).min()?;
        let endpoints = grounds().count();
        let reason = match (kind, input.content) {
            (Kind::Empty, Content::Missing) => Reason::Missing,
            (Kind::Empty, Content::Listed(_)) => Reason::Empty,
            (Kind::Removal, _) => Reason::Removal { gone: endpoints, of },
            (Kind::Fleet, _) => Reason::Fleet,
            (Kind::Rebound, _) => {
                Reason::Rebound { from: input.live.annotation(SOURCE).unwrap_or_default().to_owned() }
            }
            (Kind::Module, _) => Reason::Module { dropped: endpoints, of },
        };
        let last = grounds().map(|ground| ground.since).max()?;
        let until = match kind {
            Kind::Empty => input.settings.empty_hold.end(last),
            Kind::Removal => input.settings.removal_hold.end(last),
            Kind::Fleet | Kind::Rebound | Kind::Module => None,
        };
        Some(Hold { kind, reason, since, until, endpoints })
    }

    /// The time until a hold that ends then is checked again. Two batches of one hold may end one after the other, and one
    /// whose time is over may wait for answers.
    fn recheck_after(&self, until: Instant, input: &GuardInput<'_>) -> Duration {
        let ends = self.held.values().filter(|ground| ground.kind == Kind::Removal);
        let ends = ends.filter_map(|ground| input.settings.removal_hold.end(ground.since));
        let rest = ends.chain([until]).min().unwrap_or(until).saturating_duration_since(input.now);
        if rest.is_zero() { WAIT_FOR_ANSWERS } else { rest }
    }
}

/// The time between checks for a new answer of the registry, once a hold's time is over.
const WAIT_FOR_ANSWERS: Duration = Duration::from_secs(2);

/// Whether the registry has confirmed a removal for long enough, and often enough. A hold of zero time holds nothing.
fn removal_is_over(ground: &Ground, input: &GuardInput<'_>) -> bool {
    let end = input.settings.removal_hold.end(ground.since);
    end == Some(ground.since)
        || end.is_some_and(|end| end <= input.now) && input.answers >= ground.answers.saturating_add(AGREEING)
}

/// The service that the entry's endpoints come from; `None` if it is the one that the entry names.
fn rebound_from(desired: &Desired, live: &ServiceEntry) -> Option<String> {
    let from = live.annotation(SOURCE)?;
    (desired.annotations.get(SOURCE).map(String::as_str) != Some(from)).then(|| from.to_owned())
}
