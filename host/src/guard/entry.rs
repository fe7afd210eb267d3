//! The guard of one entry: it decides which of the endpoints that a module's answer lacks are held, and for how long.
//!
//! It compares the answer with the entry's last endpoints, port by port. The registry's own list tells why an endpoint port
//! is gone: the operator took it out of service (it goes), it vanished from the list, or it is listed as fit and the module
//! drops it. Time comes in as an argument.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::endpoint_port::{EndpointPort, all_endpoint_ports};
use super::fleet::{Fleet, WINDOW as FLEET_WINDOW};
use super::guard_input::{Decision, GuardInput, Release};
use super::hold::{Hold, Kind, Reason};
use super::instance_states::{InstanceState, InstanceStates, listed_at};
use super::loss::{Level, Loss};
use super::merge::put_back;
use super::operator_fingerprint::OperatorFingerprint;
use super::origin::Origins;
use super::settings::Settings;
use crate::annotation::{PROTOCOL, SOURCE};
use crate::istio::{Endpoint, ServiceEntry};
use crate::plan::Desired;
use crate::registry::Content;

/// Answers that must agree, beside the first, before a mass removal is believed.
const AGREEING: u64 = 2;

/// The guard of one entry.
#[derive(Debug, Default)]
pub struct Guard {
    /// The endpoints that the entry was last given. They are restored if another writer clears them meanwhile.
    kept: Option<Arc<[Endpoint]>>,
    held: HashMap<EndpointPort, Ground>,
    /// Endpoint ports that the module was allowed to drop although they are listed as fit: a tenth and another tenth are two.
    dropped: HashSet<EndpointPort>,
    /// How many endpoint_ports there are, but for what is out of service; and how many of these are healthy.
    present: Option<Level>,
    fit: Option<Level>,
    /// Since when the fleet counts a loss of half of them.
    half_lost: Option<Instant>,
    /// A fingerprint of what people did by the last decision that could be written.
    fingerprint: Option<OperatorFingerprint>,
    /// Of what is kept, as far as the module has told it.
    origins: Origins,
    /// Where the registry last listed each instance, by its id.
    listed: HashMap<String, EndpointPort>,
}

/// The ground for holding an endpoint port.
#[derive(Clone, Debug)]
struct Ground {
    kind: Kind,
    since: Instant,
    /// How much was gone at the worst, between half (0) and all (1), which says how long it is held; what comes back makes it no
    /// less. `None` if it does not end by time.
    depth: Option<f64>,
    /// The registry's answers by the beginning.
    answers: u64,
}

impl Ground {
    /// When it is let go by the settings as they are now; `None` if not by time.
    fn until(&self, settings: &Settings) -> Option<Instant> {
        settings.hold_of(self.depth?).end(self.since)
    }
}

/// The endpoint ports that the module's answer lacks, by cause.
#[derive(Default)]
struct Gone {
    out_of_service: Vec<EndpointPort>,
    not_asked_for: Vec<EndpointPort>,
    unhealthy: Vec<EndpointPort>,
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
            self.take_out(asked - self.held.len());
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
        self.dropped.clear();
        (self.present, self.fit) = (None, None);
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
        if input.release == Some(Release::All) {
            self.dropped.clear();
            (self.present, self.fit) = (None, None);
            return (HashMap::new(), endpoint_ports.difference(&present).count());
        }
        let Gone { out_of_service, not_asked_for, unhealthy, vanished, dropped } = gone;
        let (unasked, mut held) = self.not_asked_for(not_asked_for, present.is_empty(), input);
        let taken_out = out_of_service.len() + unasked;
        let counts = Counts {
            endpoint_ports: endpoint_ports.len(),
            taken_out,
            unhealthy: self.fresh(&unhealthy),
            there: present.len() + dropped.len() + held.len(),
        };
        let loss = self.count(&counts, input, fleet);
        held.extend(self.hold_vanished(vanished, unhealthy, loss, input, fleet));
        let all = dropped.len();
        let (wanted, dropped) = self.split_explained(dropped, known, input.restored);
        let dropped = self.hold_dropped(dropped, endpoint_ports.len(), input);
        // What the module may drop is no loss of the registry's.
        self.take_out(all - dropped.len());
        held.extend(dropped);
        (held, taken_out + wanted)
    }

    /// What of it is on purpose, and what is held: an annotation that would take everything away may be a typo.
    fn not_asked_for(
        &self,
        endpoint_ports: Vec<EndpointPort>,
        all: bool,
        input: &GuardInput<'_>,
    ) -> (usize, HashMap<EndpointPort, Ground>) {
        if all {
            (0, self.grounds(endpoint_ports, Kind::Annotation, input))
        } else {
            (endpoint_ports.len(), HashMap::new())
        }
    }

    /// So many endpoint_ports go that the registry did not lose.
    fn take_out(&mut self, count: usize) {
        self.present.iter_mut().chain(&mut self.fit).for_each(|level| level.take_out(count));
    }

    /// How many of these are not kept already because of the fleet's alarm.
    fn fresh(&self, endpoint_ports: &[EndpointPort]) -> usize {
        endpoint_ports.iter().filter(|endpoint_port| self.is_held(endpoint_port, Kind::Fleet).is_none()).count()
    }

    /// Takes in how many endpoint_ports there are now, and tells the fleet. Returns the loss of what was listed, if there is one.
    fn count(&mut self, counts: &Counts, input: &GuardInput<'_>, fleet: &Fleet) -> Option<Loss> {
        let holds = self.held.values().any(|ground| ground.kind.is_of_registry());
        let listed = self.present.get_or_insert_with(|| Level::of(counts.endpoint_ports, input.now));
        let fit = self.fit.get_or_insert_with(|| Level::of(counts.endpoint_ports, input.now));
        listed.take_out(counts.taken_out + counts.unhealthy);
        fit.take_out(counts.taken_out);
        let loss = listed.count(counts.there, holds, input.now);
        let of_fleet = fit.count(counts.there, holds, input.now);
        let half = of_fleet.is_some_and(Loss::is_half);
        match self.half_lost {
            None if half => {
                fleet.note_loss(input.service, input.now);
                self.half_lost = Some(input.now);
            }
            Some(_) if !half => {
                fleet.note_return(input.service);
                self.half_lost = None;
            }
            // It has raised no alarm, so it is believed.
            Some(since) if !holds && input.now.duration_since(since) > FLEET_WINDOW => {
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
                Some(InstanceState::NotAskedFor) => &mut gone.not_asked_for,
                Some(InstanceState::Unhealthy) => &mut gone.unhealthy,
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

    /// Which of the endpoint_ports that vanished from the registry's list, or are unhealthy, are held.
    fn hold_vanished(
        &mut self,
        vanished: Vec<EndpointPort>,
        unhealthy: Vec<EndpointPort>,
        loss: Option<Loss>,
        input: &GuardInput<'_>,
        fleet: &Fleet,
    ) -> HashMap<EndpointPort, Ground> {
        let released = |endpoint_port: &EndpointPort| {
            input.release == Some(Release::Fleet) && self.is_held(endpoint_port, Kind::Fleet).is_some()
        };
        if fleet.alarm().is_some() {
            // What is replaced is no loss; the rest stays until it is listed again or a person releases it.
            let lost = if loss.is_some() { vanished } else { Vec::new() };
            let lost = lost.into_iter().chain(unhealthy).filter(|endpoint_port| !released(endpoint_port));
            return self.grounds(lost.collect(), Kind::Fleet, input);
        }
        let Some(loss) = loss else { return HashMap::new() };
        let kind = if input.content.instances().is_empty() { Kind::Empty } else { Kind::Removal };
        let held: HashMap<_, _> = (vanished.into_iter().filter(|endpoint_port| !released(endpoint_port)))
            .filter_map(|endpoint_port| {
                let earlier = self.held.get(&endpoint_port).filter(|ground| ground.kind.is_of_registry());
                let ground = match earlier {
                    Some(ground) if ground.kind != Kind::Fleet => ground.clone(),
                    _ if loss.is_mass() => Ground { kind, since: input.now, depth: Some(0.0), answers: input.answers },
                    _ => return None,
                };
                let deeper = if loss.is_mass() { loss.beyond_half() } else { 0.0 };
                let depth = ground.depth.map(|depth| depth.max(deeper));
                let ground = Ground { kind, depth, ..ground };
                (!is_over(&ground, input)).then_some((endpoint_port, ground))
            })
            .collect();
        if held.is_empty()
            && let Some(level) = &mut self.present
        {
            level.believe(loss.left);
        }
        held
    }

    /// Splits off the endpoint ports that the module drops because an operator wants it so, having promoted the module or just
    /// changed the entry's ports or annotations. Returns the number of these, and the others.
    fn split_explained(
        &mut self,
        dropped: Vec<EndpointPort>,
        known: Option<OperatorFingerprint>,
        restored: bool,
    ) -> (usize, Vec<EndpointPort>) {
        if restored {
            self.dropped.clear();
            return (dropped.len(), Vec::new());
        }
        let (Some(known), Some(fingerprint)) = (known, self.fingerprint) else { return (0, dropped) };
        if fingerprint.promotions != known.promotions {
            self.dropped.clear();
            return (dropped.len(), Vec::new());
        }
        // Another module is explained by nobody's annotation.
        if fingerprint.entry == known.entry || fingerprint.module != known.module {
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

    /// The ground that a endpoint_port is held on already, or one from now on.
    fn ground(&self, endpoint_port: &EndpointPort, kind: Kind, input: &GuardInput<'_>) -> Ground {
        let new = || Ground { kind, since: input.now, depth: None, answers: input.answers };
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
        let kinds = [Kind::Empty, Kind::Removal, Kind::Fleet, Kind::Rebound, Kind::Module, Kind::Annotation];
        kinds.into_iter().filter_map(|kind| self.hold(kind, of, input)).collect()
    }

    fn hold(&self, kind: Kind, of: usize, input: &GuardInput<'_>) -> Option<Hold> {
        let grounds = || self.held.values().filter(|ground| ground.kind == kind);
        let since = grounds().map(|ground| ground.since).min()?;
        let endpoints = grounds().count();
        let reason = match (kind, input.content) {
            (Kind::Empty, Content::Missing) => Reason::Missing,
            (Kind::Empty, Content::Listed(_)) => Reason::Empty,
            (Kind::Removal, _) => {
                let loss = self.present.as_ref().map_or(Loss { left: 0, best: of }, Level::present);
                Reason::Removal { gone: loss.gone(), of: loss.best }
            }
            (Kind::Fleet, _) => Reason::Fleet,
            (Kind::Rebound, _) => {
                Reason::Rebound { from: input.live.annotation(SOURCE).unwrap_or_default().to_owned() }
            }
            (Kind::Module, _) => Reason::Module { dropped: endpoints, of },
            (Kind::Annotation, _) => {
                Reason::Annotation { asked: input.live.annotation(PROTOCOL).unwrap_or_default().to_owned() }
            }
        };
        // The last of them; `None` sorts first, and means not by time.
        let until = grounds()
            .map(|ground| ground.until(&input.settings))
            .try_fold(input.now, |last, until| Some(last.max(until?)));
        Some(Hold { kind, reason, since, until, endpoints })
    }

    /// In what time to look again at a hold that ends then. Places of one hold end one after the other, and one whose time is
    /// over may wait for answers.
    fn recheck_after(&self, until: Instant, input: &GuardInput<'_>) -> Duration {
        let ends = self.held.values().filter_map(|ground| ground.until(&input.settings));
        let rest = ends.chain([until]).min().unwrap_or(until).saturating_duration_since(input.now);
        if rest.is_zero() { WAIT_FOR_ANSWERS } else { rest }
    }
}

/// How many endpoint_ports there are, by what is to be counted.
struct Counts {
    /// By the last decision, with what is held.
    endpoint_ports: usize,
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
fn is_over(ground: &Ground, input: &GuardInput<'_>) -> bool {
    let end = ground.until(&input.settings);
    end == Some(ground.since)
        || end.is_some_and(|end| end <= input.now) && input.answers >= ground.answers.saturating_add(AGREEING)
}

/// The service that the entry's endpoints come from; `None` if it is the one that the entry names.
fn rebound_from(desired: &Desired, live: &ServiceEntry) -> Option<String> {
    let from = live.annotation(SOURCE)?;
    (desired.annotations.get(SOURCE).map(String::as_str) != Some(from)).then(|| from.to_owned())
}
