//! The endpoint ports that a module's answer lacks, sorted by cause: the registry's own list tells it.

use std::collections::HashSet;

use super::endpoint_port::EndpointPort;
use super::entry::Guard;
use super::guard_input::GuardInput;
use super::instance_states::{InstanceState, InstanceStates, listed_at};
use crate::registry::Content;

/// The endpoint ports that the module's answer lacks, by cause.
#[derive(Default)]
pub(super) struct Gone {
    /// Taken out of service on purpose.
    pub(super) out_of_service: Vec<EndpointPort>,
    /// Left by instances that the module gives at another port of their address.
    pub(super) moved: Vec<EndpointPort>,
    pub(super) not_asked_for: Vec<EndpointPort>,
    pub(super) unhealthy: Vec<EndpointPort>,
    pub(super) vanished: Vec<EndpointPort>,
    pub(super) dropped: Vec<EndpointPort>,
}

impl Guard {
    /// Sorts what of `endpoint_ports` is not `present`.
    pub(super) fn sort(
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
        let states = InstanceStates::of_content(input.content, input.live, input.excluded);
        let mut dropped = std::mem::take(&mut self.dropped);
        dropped.retain(|endpoint_port| {
            !present.contains(endpoint_port) && self.state(&states, endpoint_port) == Some(InstanceState::Fit)
        });
        self.dropped = dropped;
        let moved = self.moved(input.content, present);
        for endpoint_port in missing {
            let sorted = match self.state(&states, endpoint_port) {
                // Nobody answers there any more, and nothing is lost.
                None if moved.contains(endpoint_port) => &mut gone.moved,
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

    /// The endpoint ports that instances have left for another port of their address, where the module gives them.
    fn moved(&self, content: &Content, present: &HashSet<EndpointPort>) -> HashSet<EndpointPort> {
        let now = listed_at(content);
        let left = |(id, place): (&String, &EndpointPort)| {
            let new = now.get(id.as_str()).filter(|new| present.contains(*new))?;
            (new.address == place.address && new.port != place.port).then(|| place.clone())
        };
        self.listed.iter().filter_map(left).collect()
    }

    /// The state of the instances at an endpoint port, or of those that it stands for.
    fn state(&self, states: &InstanceStates, endpoint_port: &EndpointPort) -> Option<InstanceState> {
        let origins = self.origins.0.get(endpoint_port).map_or(std::slice::from_ref(endpoint_port), Vec::as_slice);
        origins.iter().filter_map(|origin| states.of(origin)).max()
    }
}
