//! The guard of one entry: which of the endpoints that a module's answer does not have are kept, and for how long.
//!
//! It compares the answer with what the entry was last given, place by place, and asks the registry's own list why a place
//! is gone: someone took it out of service (it goes), it vanished from the list, or it is listed as fit and the module
//! drops it. Time comes in as an argument.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::endpoint_port::{EndpointPort, all_places};
use super::fleet::{Fleet, WINDOW as FLEET_WINDOW};
use super::guard_input::{Decision, GuardInput, Release};
use super::hold::{Hold, Kind, Reason};
use super::listing::{Listing, Standing, Standings};
use super::loss::{Level, Loss};
use super::merge::put_back;
use super::operator_fingerprint::OperatorFingerprint;
use super::origin::Origins;
use crate::annotation::{PROTOCOL, SOURCE};
use crate::istio::{Endpoint, ServiceEntry};
use crate::plan::Desired;

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
    /// How many places there are, but for what is out of service; and how many of these are healthy.
    listed: Option<Level>,
    fit: Option<Level>,
    /// Since when the fleet counts a loss of half of them.
    half_lost: Option<Instant>,
    /// A fingerprint of what people did by the last decision that could be written.
    deeds: Option<OperatorFingerprint>,
    /// Of what is kept, as far as the module has told it.
    origins: Origins,
}

/// Why a place is held.
#[derive(Clone, Debug)]
struct Ground {
    kind: Kind,
    since: Instant,
    /// When it is let go, which nothing makes earlier; `None` if not by time.
    until: Option<Instant>,
    /// The registry's answers by the beginning.
    answers: u64,
}

/// The places that are gone from the module's answer, by what became of them.
#[derive(Default)]
struct Gone {
    out_of_service: Vec<EndpointPort>,
    not_asked_for: Vec<EndpointPort>,
    unhealthy: Vec<EndpointPort>,
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
            self.take_out(asked - self.held.len());
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
        self.dropped.clear();
        (self.listed, self.fit) = (None, None);
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
        if seen.release == Some(Release::All) {
            self.dropped.clear();
            (self.listed, self.fit) = (None, None);
            return (HashMap::new(), places.difference(&present).count());
        }
        let Gone { out_of_service, not_asked_for, unhealthy, vanished, dropped } = gone;
        let (unasked, mut held) = self.not_asked_for(not_asked_for, present.is_empty(), seen);
        let taken_out = out_of_service.len() + unasked;
        let counts = Counts {
            places: places.len(),
            taken_out,
            unhealthy: self.fresh(&unhealthy),
            there: present.len() + dropped.len() + held.len(),
        };
        let loss = self.count(&counts, seen, fleet);
        held.extend(self.vanished(vanished, unhealthy, loss, seen, fleet));
        let all = dropped.len();
        let (wanted, dropped) = self.explained(dropped, known, seen.restored);
        let dropped = self.module_drops(dropped, places.len(), seen);
        // What the module may drop is no loss of the registry's.
        self.take_out(all - dropped.len());
        held.extend(dropped);
        (held, taken_out + wanted)
    }

    /// What of it is on purpose, and what is held: an annotation that would take everything away may be a typo.
    fn not_asked_for(
        &self,
        places: Vec<EndpointPort>,
        all: bool,
        seen: &GuardInput<'_>,
    ) -> (usize, HashMap<EndpointPort, Ground>) {
        if all { (0, self.all(places, Kind::Annotation, seen)) } else { (places.len(), HashMap::new()) }
    }

    /// So many places go that the registry did not lose.
    fn take_out(&mut self, count: usize) {
        self.listed.iter_mut().chain(&mut self.fit).for_each(|level| level.take_out(count));
    }

    /// How many of these are not kept already because of the fleet's alarm.
    fn fresh(&self, places: &[EndpointPort]) -> usize {
        places.iter().filter(|place| self.is_held(place, Kind::Fleet).is_none()).count()
    }

    /// Takes in how many places there are now, and tells the fleet. Returns the loss of what was listed, if there is one.
    fn count(&mut self, counts: &Counts, seen: &GuardInput<'_>, fleet: &Fleet) -> Option<Loss> {
        let holds = self.held.values().any(|ground| ground.kind.is_of_registry());
        let listed = self.listed.get_or_insert_with(|| Level::of(counts.places, seen.now));
        let fit = self.fit.get_or_insert_with(|| Level::of(counts.places, seen.now));
        listed.take_out(counts.taken_out + counts.unhealthy);
        fit.take_out(counts.taken_out);
        let loss = listed.count(counts.there, holds, seen.now);
        let of_fleet = fit.count(counts.there, holds, seen.now);
        let half = of_fleet.is_some_and(Loss::is_half);
        match self.half_lost {
            None if half => {
                fleet.lost(seen.service, seen.now);
                self.half_lost = Some(seen.now);
            }
            Some(_) if !half => {
                fleet.back(seen.service);
                self.half_lost = None;
            }
            // It has raised no alarm, so it is believed.
            Some(since) if !holds && seen.now.duration_since(since) > FLEET_WINDOW => {
                fit.believe(counts.there);
                self.half_lost = None;
            }
            _ => {}
        }
        if !half {
            fit.believe(counts.there);
        }
        loss
    }

    fn sort(&mut self, places: &HashSet<EndpointPort>, present: &HashSet<EndpointPort>, seen: &GuardInput<'_>) -> Gone {
        let mut gone = Gone::default();
        let missing: Vec<_> = places.difference(present).collect();
        if missing.is_empty() && self.dropped.is_empty() {
            return gone;
        }
        let standings = seen.listing.standings(seen.live);
        let mut dropped = std::mem::take(&mut self.dropped);
        dropped.retain(|place| !present.contains(place) && self.standing(&standings, place) == Some(Standing::Fit));
        self.dropped = dropped;
        for place in missing {
            let sorted = match self.standing(&standings, place) {
                None => &mut gone.vanished,
                Some(Standing::OutOfService) => &mut gone.out_of_service,
                Some(Standing::NotAskedFor) => &mut gone.not_asked_for,
                Some(Standing::Unhealthy) => &mut gone.unhealthy,
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

    /// Which of the places that vanished from the registry's list, or are unhealthy, are held.
    fn vanished(
        &mut self,
        vanished: Vec<EndpointPort>,
        unhealthy: Vec<EndpointPort>,
        loss: Option<Loss>,
        seen: &GuardInput<'_>,
        fleet: &Fleet,
    ) -> HashMap<EndpointPort, Ground> {
        let released =
            |place: &EndpointPort| seen.release == Some(Release::Fleet) && self.is_held(place, Kind::Fleet).is_some();
        if fleet.alarm().is_some() {
            // What is replaced is no loss; the rest stays until it is listed again or a person releases it.
            let lost = if loss.is_some() { vanished } else { Vec::new() };
            let lost = lost.into_iter().chain(unhealthy).filter(|place| !released(place));
            return self.all(lost.collect(), Kind::Fleet, seen);
        }
        let Some(loss) = loss else { return HashMap::new() };
        let kind = if seen.listing.is_empty() { Kind::Empty } else { Kind::Removal };
        let time = seen.settings.hold_of(loss.beyond_half());
        let held: HashMap<_, _> = (vanished.into_iter().filter(|place| !released(place)))
            .filter_map(|place| {
                let earlier = self.held.get(&place).filter(|ground| ground.kind.is_of_registry());
                let ground = match earlier {
                    Some(ground) if ground.kind != Kind::Fleet => ground.clone(),
                    _ if loss.is_mass() => {
                        Ground { kind, since: seen.now, until: Some(seen.now), answers: seen.answers }
                    }
                    _ => return None,
                };
                let until = if loss.is_mass() { time.end(ground.since) } else { ground.until };
                // What comes back shortens nothing for the others.
                let until = ground.until.zip(until).map(|(earlier, until)| earlier.max(until));
                let ground = Ground { kind, until, ..ground };
                (!is_over(&ground, seen)).then_some((place, ground))
            })
            .collect();
        if held.is_empty()
            && let Some(level) = &mut self.listed
        {
            level.believe(loss.left);
        }
        held
    }

    /// Takes out what the module drops because a person wants it so: he has promoted it, or has just changed the entry's
    /// ports or annotations. Returns how many that are.
    fn explained(
        &mut self,
        dropped: Vec<EndpointPort>,
        known: Option<OperatorFingerprint>,
        restored: bool,
    ) -> (usize, Vec<EndpointPort>) {
        if restored {
            self.dropped.clear();
            return (dropped.len(), Vec::new());
        }
        let (Some(known), Some(deeds)) = (known, self.deeds) else { return (0, dropped) };
        if deeds.promotions != known.promotions {
            self.dropped.clear();
            return (dropped.len(), Vec::new());
        }
        // Another module is explained by nobody's annotation.
        if deeds.entry == known.entry || deeds.module != known.module {
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
        let new = || Ground { kind, since: seen.now, until: None, answers: seen.answers };
        self.is_held(place, kind).cloned().unwrap_or_else(new)
    }

    fn all(&self, places: Vec<EndpointPort>, kind: Kind, seen: &GuardInput<'_>) -> HashMap<EndpointPort, Ground> {
        places.into_iter().map(|place| (place.clone(), self.ground(&place, kind, seen))).collect()
    }

    fn holds(&self, of: usize, seen: &GuardInput<'_>) -> Vec<Hold> {
        let kinds = [Kind::Empty, Kind::Removal, Kind::Fleet, Kind::Rebound, Kind::Module, Kind::Annotation];
        kinds.into_iter().filter_map(|kind| self.hold(kind, of, seen)).collect()
    }

    fn hold(&self, kind: Kind, of: usize, seen: &GuardInput<'_>) -> Option<Hold> {
        let grounds = || self.held.values().filter(|ground| ground.kind == kind);
        let since = grounds().map(|ground| ground.since).min()?;
        let endpoints = grounds().count();
        let reason = match (kind, seen.listing) {
            (Kind::Empty, Listing::Missing) => Reason::Missing,
            (Kind::Empty, Listing::Service(_)) => Reason::Empty,
            (Kind::Removal, _) => {
                let loss = self.listed.as_ref().map_or(Loss { left: 0, best: of }, Level::present);
                Reason::Removal { gone: loss.gone(), of: loss.best }
            }
            (Kind::Fleet, _) => Reason::Fleet,
            (Kind::Rebound, _) => Reason::Rebound { from: seen.live.annotation(SOURCE).unwrap_or_default().to_owned() },
            (Kind::Module, _) => Reason::Module { dropped: endpoints, of },
            (Kind::Annotation, _) => {
                Reason::Annotation { asked: seen.live.annotation(PROTOCOL).unwrap_or_default().to_owned() }
            }
        };
        // The last of them; `None` sorts first, and means not by time.
        let until = grounds().map(|ground| ground.until).try_fold(seen.now, |last, until| Some(last.max(until?)));
        Some(Hold { kind, reason, since, until, endpoints })
    }

    /// In what time to look again at a hold that ends then. Places of one hold end one after the other, and one whose time is
    /// over may wait for answers.
    fn rest(&self, until: Instant, seen: &GuardInput<'_>) -> Duration {
        let ends = self.held.values().filter_map(|ground| ground.until);
        let rest = ends.chain([until]).min().unwrap_or(until).saturating_duration_since(seen.now);
        if rest.is_zero() { WAIT_FOR_ANSWERS } else { rest }
    }
}

/// How many places there are, by what is to be counted.
struct Counts {
    /// By the last decision, with what is held.
    places: usize,
    /// Of these, taken out of service on purpose.
    taken_out: usize,
    /// Of these, unhealthy, and not so by an earlier decision.
    unhealthy: usize,
    /// Given by the module, or dropped by it and listed as fit.
    there: usize,
}

/// How often it is looked whether the registry has answered again, once a hold's time is over.
const WAIT_FOR_ANSWERS: Duration = Duration::from_secs(2);

/// Whether the registry has said it for long enough, and often enough. A hold of no time holds nothing.
fn is_over(ground: &Ground, seen: &GuardInput<'_>) -> bool {
    let end = ground.until;
    end == Some(ground.since)
        || end.is_some_and(|end| end <= seen.now) && seen.answers >= ground.answers.saturating_add(AGREEING)
}

/// The service that the entry's endpoints come from, where that is another than the one it names.
fn rebound_from(desired: &Desired, live: &ServiceEntry) -> Option<String> {
    let from = live.annotation(SOURCE)?;
    (desired.annotations.get(SOURCE).map(String::as_str) != Some(from)).then(|| from.to_owned())
}
