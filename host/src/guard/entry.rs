//! The guard of one entry: it decides which of the endpoints that a module's answer lacks are held, and for how long.
//!
//! It compares the answer with the entry's last endpoints, port by port. The registry's own list tells why an endpoint port
//! is gone: the operator took it out of service (it goes), it vanished from the list, or it is listed as fit and the module
//! drops it. Time comes in as an argument.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::count::{Counts, Isolated};
use super::endpoint_port::{EndpointPort, all_endpoint_ports};
use super::fleet::Fleet;
use super::gone::Gone;
use super::ground::Ground;
use super::guard_input::{Decision, GuardInput, Release};
use super::hold::Kind;
use super::instance_states::listed_at;
use super::loss::Level;
use super::merge::put_back;
use super::operator_fingerprint::OperatorFingerprint;
use super::origin::Origins;
use super::past::Past;
use crate::annotation::SOURCE;
use crate::istio::{Endpoint, ServiceEntry};
use crate::plan::Desired;

/// The guard of one entry.
#[derive(Debug, Default)]
pub struct Guard {
    /// The endpoints that the entry was last given. They are restored if another writer clears them meanwhile.
    kept: Option<Arc<[Endpoint]>>,
    pub(super) held: HashMap<EndpointPort, Ground>,
    /// Endpoint ports that the module was allowed to drop although they are listed as fit: a tenth and another tenth are two.
    pub(super) dropped: HashSet<EndpointPort>,
    /// How many endpoint ports there are, but for what is out of service; and how many of these are healthy.
    pub(super) present: Option<Level>,
    pub(super) fit: Option<Level>,
    /// Since when the fleet counts a loss of half of them.
    pub(super) half_lost: Option<Instant>,
    /// A fingerprint of what people did by the last decision that could be written.
    pub(super) fingerprint: Option<OperatorFingerprint>,
    /// Of what is kept, as far as the module has told it.
    pub(super) origins: Origins,
    /// Where the registry last listed each instance, by its id.
    pub(super) listed: HashMap<String, EndpointPort>,
    /// Those present that were unhealthy from the first, while no instance is healthy.
    pub(super) newcomers: HashSet<EndpointPort>,
    /// What somebody isolated lately.
    pub(super) isolated: Isolated,
    /// What is known from before this process, until the first decision.
    before: Past,
    /// The past was lost, so that a loss may be greater than it seems. Until there is none, or it is believed.
    pub(super) unsure: bool,
}

impl Guard {
    /// Puts the held endpoints back into `desired`.
    pub fn decide(&mut self, desired: &mut Desired, input: &GuardInput<'_>, fleet: &Fleet) -> Decision {
        let base = self.kept.take().unwrap_or_else(|| input.live.spec.endpoints.clone().into());
        let known = self.fingerprint;
        if input.writable {
            self.fingerprint = Some(OperatorFingerprint::of(input, known));
        }
        let endpoint_ports = all_endpoint_ports(&base);
        self.recall(&endpoint_ports, input);
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
        self.note_most(desired, input);
        let holds = self.holds(endpoint_ports.len(), input);
        fleet.note_holding(&input.live.title(), input.service, holds.iter().any(|hold| hold.kind == Kind::Fleet));
        let requeue_after = holds.iter().filter_map(|hold| Some(self.recheck_after(hold.until?, input))).min();
        Decision { holds, on_purpose, misfits: asked - self.held.len(), requeue_after, past: self.past() }
    }

    /// Starts anew from the entry's present content, which another writer may have written.
    pub fn restart(&mut self) {
        *self = Self { fingerprint: self.fingerprint, ..Self::default() };
    }

    /// Gives it what is known from before this process, for the next decision.
    pub(crate) fn remember(&mut self, past: Past) {
        self.before = past;
    }

    /// Goes on with what was held before this process.
    fn recall(&mut self, endpoint_ports: &HashSet<EndpointPort>, input: &GuardInput<'_>) {
        let holds = match std::mem::take(&mut self.before) {
            Past::Nothing => return,
            Past::Lost => return self.unsure = true,
            Past::Holds(holds) => holds,
        };
        for hold in holds {
            let ground = Ground { kind: hold.kind, since: hold.since, depth: Some(hold.depth), answers: input.answers };
            let still = hold.places.into_iter().filter(|place| endpoint_ports.contains(place));
            self.held.extend(still.map(|place| (place, ground.clone())));
        }
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
        let Gone { out_of_service, moved, not_asked_for, unhealthy, vanished, dropped } = gone;
        let (unasked, mut held) = self.not_asked_for(not_asked_for, present.is_empty(), input);
        let taken_out = out_of_service.len() + unasked;
        let counted = self.count_present(&present, endpoint_ports, input);
        let counts = Counts {
            endpoint_ports: endpoint_ports.len(),
            taken_out,
            unhealthy: self.fresh(&unhealthy),
            there: counted + dropped.len() + held.len(),
        };
        self.note_isolated(out_of_service.len(), counts.there, input, fleet);
        let loss = self.count(&counts, input, fleet);
        held.extend(self.hold_vanished(vanished, unhealthy, loss, input, fleet));
        let all = dropped.len();
        let (wanted, dropped) = self.split_explained(dropped, known, input.restored);
        let dropped = self.hold_dropped(dropped, endpoint_ports.len(), input);
        // What the module may drop is no loss of the registry's.
        self.take_out(all - dropped.len());
        held.extend(dropped);
        (held, taken_out + moved.len() + wanted)
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

    /// How many of these are not kept already because of the fleet's alarm.
    fn fresh(&self, endpoint_ports: &[EndpointPort]) -> usize {
        endpoint_ports.iter().filter(|endpoint_port| self.is_held(endpoint_port, Kind::Fleet).is_none()).count()
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

    /// Keeps the origins of the entry's endpoints, and of those that may still count as dropped.
    fn keep_origins(&mut self, told: &Origins) {
        if self.origins.0.is_empty() && told.0.is_empty() {
            return;
        }
        let Self { held, dropped, origins, .. } = self;
        origins.0.retain(|endpoint_port, _| held.contains_key(endpoint_port) || dropped.contains(endpoint_port));
        origins.0.extend(told.0.iter().map(|(endpoint_port, own)| (endpoint_port.clone(), own.clone())));
    }

    pub(super) fn is_held(&self, endpoint_port: &EndpointPort, kind: Kind) -> Option<&Ground> {
        self.held.get(endpoint_port).filter(|ground| ground.kind == kind)
    }

    /// The ground that an endpoint port is held on already, or one from now on.
    fn ground(&self, endpoint_port: &EndpointPort, kind: Kind, input: &GuardInput<'_>) -> Ground {
        let new = || Ground { kind, since: input.now, depth: None, answers: input.answers };
        self.is_held(endpoint_port, kind).cloned().unwrap_or_else(new)
    }

    pub(super) fn grounds(
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
}

/// The service that the entry's endpoints come from; `None` if it is the one that the entry names.
fn rebound_from(desired: &Desired, live: &ServiceEntry) -> Option<String> {
    let from = live.annotation(SOURCE)?;
    (desired.annotations.get(SOURCE).map(String::as_str) != Some(from)).then(|| from.to_owned())
}
