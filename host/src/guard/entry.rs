//! The guard of one entry: which of the endpoints that a module's answer does not have are kept, and for how long.
//!
//! It compares the answer with what the entry was last given, place by place, and asks the registry's own list why a place
//! is gone: someone took it out of service (it goes), it vanished from the list, or it is listed as fit and the module
//! drops it. Time comes in as an argument.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::endpoint_port::{EndpointPort, all_places};
use super::fleet::Fleet;
use super::guard_input::{Decision, GuardInput, Release};
use super::hold::{Hold, Kind, Reason};
use super::merge::put_back;
use super::operator_fingerprint::OperatorFingerprint;
use super::origin::Origins;
use super::standings::{Standing, Standings};
use crate::annotation::SOURCE;
use crate::istio::{Endpoint, ServiceEntry};
use crate::plan::Desired;
use crate::registry::Content;

/// Fewer places than these are no mass, however many of them vanish.
const MASS_AT_LEAST: usize = 4;
/// Answers that must agree, beside the first, before a mass removal is believed.
const AGREEING: u64 = 2;

/// The guard of one entry.
#[derive(Debug, Default)]
pub struct Guard {
    /// What the entry was last given; it is brought back if someone clears it meanwhile.
    kept: Option<Arc<[Endpoint]>>,
    held: HashMap<EndpointPort, Ground>,
    /// Places that the module was let drop although they are listed as fit: a tenth and another tenth are two.
    dropped: HashSet<EndpointPort>,
    empty_since: Option<Instant>,
    /// What people did by the last decision that could be written.
    deeds: Option<OperatorFingerprint>,
    /// Of what is kept, as far as the module has told it.
    origins: Origins,
}

/// Why a place is held.
#[derive(Clone, Debug)]
struct Ground {
    kind: Kind,
    since: Instant,
    /// The registry's answers by then.
    answers: u64,
}

/// The places that are gone from the module's answer, by what became of them.
#[derive(Default)]
struct Gone {
    out_of_service: Vec<EndpointPort>,
    vanished: Vec<EndpointPort>,
    dropped: Vec<EndpointPort>,
}

impl Guard {
    /// Changes `desired` so that nothing disappears that is to be held.
    pub fn decide(&mut self, desired: &mut Desired, seen: &GuardInput<'_>, fleet: &Fleet) -> Decision {
        let base = self.kept.take().unwrap_or_else(|| seen.live.spec.endpoints.clone().into());
        let known = self.deeds;
        if seen.writable {
            self.deeds = Some(OperatorFingerprint::of(seen));
        }
        let places = all_places(&base);
        let from = rebound_from(desired, seen.live);
        let (held, on_purpose) = match &from {
            Some(_) => (self.rebound(desired, places.iter(), seen), 0),
            None => self.weigh(desired, &places, seen, known, fleet),
        };
        self.held = held;
        let asked = self.held.len();
        if asked > 0 {
            put_back(&base, desired, &mut self.held, seen.live, seen.addresses);
        }
        if let Some(from) = from.filter(|_| !self.held.is_empty()) {
            desired.annotations.insert(SOURCE.into(), from);
        }
        self.kept = Some(Arc::clone(&desired.endpoints));
        self.remember(&seen.origins);
        let holds = self.holds(places.len(), seen);
        fleet.settle(&seen.live.title(), seen.service, holds.iter().any(|hold| hold.kind == Kind::Fleet));
        let again = holds.iter().filter_map(|hold| Some(self.rest(hold.until?, seen))).min();
        Decision { holds, on_purpose, misfits: asked - self.held.len(), again }
    }

    /// Starts anew from what the entry holds: someone else wrote it meanwhile, or nobody did.
    pub fn anew(&mut self) {
        *self = Self { deeds: self.deeds, ..Self::default() };
    }

    /// The entry was pointed at another service: its endpoints replace the old ones when it has some.
    fn rebound<'a>(
        &mut self,
        desired: &Desired,
        places: impl Iterator<Item = &'a EndpointPort>,
        seen: &GuardInput<'_>,
    ) -> HashMap<EndpointPort, Ground> {
        self.empty_since = None;
        self.dropped.clear();
        if !desired.endpoints.is_empty() || seen.release == Some(Release::All) {
            return HashMap::new();
        }
        places.map(|place| (place.clone(), self.ground(place, Kind::Rebound, seen))).collect()
    }

    /// Finds what is gone, and what of it is held. Returns as well how many go on purpose.
    fn weigh(
        &mut self,
        desired: &Desired,
        places: &HashSet<EndpointPort>,
        seen: &GuardInput<'_>,
        known: Option<OperatorFingerprint>,
        fleet: &Fleet,
    ) -> (HashMap<EndpointPort, Ground>, usize) {
        let present = all_places(&desired.endpoints);
        let gone = self.sort(places, &present, seen);
        if !seen.content.instances().is_empty() {
            self.empty_since = None;
        }
        if gone.vanished.is_empty() && !self.held.is_empty() {
            fleet.back(seen.service);
        }
        if seen.release == Some(Release::All) {
            self.dropped.clear();
            return (HashMap::new(), places.difference(&present).count());
        }
        let mut held = self.vanished(gone.vanished, places.len(), seen, fleet);
        let (wanted, dropped) = self.explained(gone.dropped, known);
        held.extend(self.module_drops(dropped, places.len(), seen));
        (held, gone.out_of_service.len() + wanted)
    }

    fn sort(&mut self, places: &HashSet<EndpointPort>, present: &HashSet<EndpointPort>, seen: &GuardInput<'_>) -> Gone {
        let mut gone = Gone::default();
        let missing: Vec<_> = places.difference(present).collect();
        if missing.is_empty() && self.dropped.is_empty() {
            return gone;
        }
        let standings = Standings::of_content(seen.content, seen.live);
        let mut dropped = std::mem::take(&mut self.dropped);
        dropped.retain(|place| !present.contains(place) && self.standing(&standings, place) == Some(Standing::Fit));
        self.dropped = dropped;
        for place in missing {
            let sorted = match self.standing(&standings, place) {
                None => &mut gone.vanished,
                Some(Standing::OutOfService) => &mut gone.out_of_service,
                Some(Standing::Fit) => &mut gone.dropped,
            };
            sorted.push(place.clone());
        }
        gone
    }

    /// How the instances at a place stand, or those that it stands for.
    fn standing(&self, standings: &Standings, place: &EndpointPort) -> Option<Standing> {
        let origins = self.origins.0.get(place).map_or(std::slice::from_ref(place), Vec::as_slice);
        origins.iter().filter_map(|origin| standings.of(origin)).max()
    }

    /// Keeps the origins of what the entry has, and of what may still be counted as dropped.
    fn remember(&mut self, told: &Origins) {
        if self.origins.0.is_empty() && told.0.is_empty() {
            return;
        }
        let Self { held, dropped, origins, .. } = self;
        origins.0.retain(|place, _| held.contains_key(place) || dropped.contains(place));
        origins.0.extend(told.0.iter().map(|(place, own)| (place.clone(), own.clone())));
    }

    /// Which of the places that vanished from the registry's list are held.
    fn vanished(
        &mut self,
        vanished: Vec<EndpointPort>,
        of: usize,
        seen: &GuardInput<'_>,
        fleet: &Fleet,
    ) -> HashMap<EndpointPort, Ground> {
        let fresh = vanished.iter().filter(|place| !self.held.contains_key(place)).count();
        if fresh > 0 && fresh * 2 >= of.saturating_sub(self.held.len()) {
            fleet.lost(seen.service, seen.now);
        }
        let released =
            |place: &EndpointPort| seen.release == Some(Release::Fleet) && self.is_held(place, Kind::Fleet).is_some();
        let vanished: Vec<_> = vanished.into_iter().filter(|place| !released(place)).collect();
        if fleet.alarm().is_some() {
            return self.all(vanished, Kind::Fleet, seen);
        }
        if seen.content.instances().is_empty() {
            let since = *self.empty_since.get_or_insert(seen.now);
            let over = seen.settings.empty_hold.end(since).is_some_and(|end| end <= seen.now);
            let ground = Ground { kind: Kind::Empty, since, answers: seen.answers };
            return vanished.into_iter().filter(|_| !over).map(|place| (place, ground.clone())).collect();
        }
        let (earlier, others): (Vec<_>, Vec<_>) =
            vanished.into_iter().partition(|place| self.is_held(place, Kind::Removal).is_some());
        let rest = of.saturating_sub(self.held.values().filter(|ground| ground.kind == Kind::Removal).count());
        let mass = rest >= MASS_AT_LEAST && others.len() * 2 > rest;
        // After an empty answer instances come back one by one: the first must not clear the others.
        let waits = |place: &EndpointPort| mass || self.is_held(place, Kind::Empty).is_some();
        let others = others.into_iter().filter(waits).collect();
        let mut held = self.all(earlier, Kind::Removal, seen);
        held.extend(self.all(others, Kind::Removal, seen));
        held.retain(|_, ground| !removal_is_over(ground, seen));
        held
    }

    /// Takes out what the module drops because a person wants it so: he has promoted it, or has just changed the entry's
    /// ports or annotations. Returns how many that are.
    fn explained(
        &mut self,
        dropped: Vec<EndpointPort>,
        known: Option<OperatorFingerprint>,
    ) -> (usize, Vec<EndpointPort>) {
        let (Some(known), Some(deeds)) = (known, self.deeds) else { return (0, dropped) };
        if deeds.promotions != known.promotions {
            self.dropped.clear();
            return (dropped.len(), Vec::new());
        }
        if deeds.entry == known.entry {
            return (0, dropped);
        }
        // What was dropped before the change was not because of it.
        let (earlier, fresh): (Vec<_>, Vec<_>) =
            dropped.into_iter().partition(|place| self.is_held(place, Kind::Module).is_some());
        (fresh.len(), earlier)
    }

    /// Which of the places that the module drops, though they are listed as fit, are held.
    fn module_drops(
        &mut self,
        dropped: Vec<EndpointPort>,
        of: usize,
        seen: &GuardInput<'_>,
    ) -> HashMap<EndpointPort, Ground> {
        let earlier = self.dropped.len();
        let limit = seen.settings.module_removal_limit;
        if limit.is_passed(dropped.len() + earlier, of + earlier) {
            return self.all(dropped, Kind::Module, seen);
        }
        self.dropped.extend(dropped);
        HashMap::new()
    }

    fn is_held(&self, place: &EndpointPort, kind: Kind) -> Option<&Ground> {
        self.held.get(place).filter(|ground| ground.kind == kind)
    }

    /// The ground that a place is held on already, or one from now on.
    fn ground(&self, place: &EndpointPort, kind: Kind, seen: &GuardInput<'_>) -> Ground {
        let new = || Ground { kind, since: seen.now, answers: seen.answers };
        self.is_held(place, kind).cloned().unwrap_or_else(new)
    }

    fn all(&self, places: Vec<EndpointPort>, kind: Kind, seen: &GuardInput<'_>) -> HashMap<EndpointPort, Ground> {
        places.into_iter().map(|place| (place.clone(), self.ground(&place, kind, seen))).collect()
    }

    fn holds(&self, of: usize, seen: &GuardInput<'_>) -> Vec<Hold> {
        let kinds = [Kind::Empty, Kind::Removal, Kind::Fleet, Kind::Rebound, Kind::Module];
        kinds.into_iter().filter_map(|kind| self.hold(kind, of, seen)).collect()
    }

    fn hold(&self, kind: Kind, of: usize, seen: &GuardInput<'_>) -> Option<Hold> {
        let grounds = || self.held.values().filter(|ground| ground.kind == kind);
        let since = grounds().map(|ground| ground.since).min()?;
        let endpoints = grounds().count();
        let reason = match (kind, seen.content) {
            (Kind::Empty, Content::Missing) => Reason::Missing,
            (Kind::Empty, Content::Listed(_)) => Reason::Empty,
            (Kind::Removal, _) => Reason::Removal { gone: endpoints, of },
            (Kind::Fleet, _) => Reason::Fleet,
            (Kind::Rebound, _) => Reason::Rebound { from: seen.live.annotation(SOURCE).unwrap_or_default().to_owned() },
            (Kind::Module, _) => Reason::Module { dropped: endpoints, of },
        };
        let last = grounds().map(|ground| ground.since).max()?;
        let until = match kind {
            Kind::Empty => seen.settings.empty_hold.end(last),
            Kind::Removal => seen.settings.removal_hold.end(last),
            Kind::Fleet | Kind::Rebound | Kind::Module => None,
        };
        Some(Hold { kind, reason, since, until, endpoints })
    }

    /// In what time to look again at a hold that ends then. Two batches of one hold may end one after the other, and one
    /// whose time is over may wait for answers.
    fn rest(&self, until: Instant, seen: &GuardInput<'_>) -> Duration {
        let ends = self.held.values().filter(|ground| ground.kind == Kind::Removal);
        let ends = ends.filter_map(|ground| seen.settings.removal_hold.end(ground.since));
        let rest = ends.chain([until]).min().unwrap_or(until).saturating_duration_since(seen.now);
        if rest.is_zero() { WAIT_FOR_ANSWERS } else { rest }
    }
}

/// How often it is looked whether the registry has answered again, once a hold's time is over.
const WAIT_FOR_ANSWERS: Duration = Duration::from_secs(2);

/// Whether the registry has said it for long enough, and often enough. A hold of no time holds nothing.
fn removal_is_over(ground: &Ground, seen: &GuardInput<'_>) -> bool {
    let end = seen.settings.removal_hold.end(ground.since);
    end == Some(ground.since)
        || end.is_some_and(|end| end <= seen.now) && seen.answers >= ground.answers.saturating_add(AGREEING)
}

/// The service that the entry's endpoints come from, where that is another than the one it names.
fn rebound_from(desired: &Desired, live: &ServiceEntry) -> Option<String> {
    let from = live.annotation(SOURCE)?;
    (desired.annotations.get(SOURCE).map(String::as_str) != Some(from)).then(|| from.to_owned())
}
