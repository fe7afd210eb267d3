//! Which of the endpoint ports that the registry lost are held, and until when: each has an end of its own.

use std::collections::HashMap;

use super::endpoint_port::EndpointPort;
use super::entry::Guard;
use super::fleet::Fleet;
use super::ground::Ground;
use super::guard_input::{GuardInput, Release};
use super::hold::Kind;
use super::loss::Loss;

impl Guard {
    /// Which of the endpoint ports that vanished from the registry's list, or are unhealthy, are held.
    pub(super) fn hold_vanished(
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
        // Where the past was lost, a small loss may be a part of a large one.
        let is_mass = loss.is_mass() || self.unsure;
        let held: HashMap<_, _> = (vanished.into_iter().filter(|endpoint_port| !released(endpoint_port)))
            .filter_map(|endpoint_port| {
                let earlier = self.held.get(&endpoint_port).filter(|ground| ground.kind.is_of_registry());
                let ground = match earlier {
                    Some(ground) if ground.kind != Kind::Fleet => ground.clone(),
                    _ if is_mass => Ground { kind, since: input.now, depth: Some(0.0), answers: input.answers },
                    _ => return None,
                };
                let deeper = if loss.is_mass() { loss.beyond_half() } else { 0.0 };
                let depth = ground.depth.map(|depth| depth.max(deeper));
                let ground = Ground { kind, depth, ..ground };
                (!ground.is_over(input)).then_some((endpoint_port, ground))
            })
            .collect();
        if held.is_empty()
            && let Some(level) = &mut self.present
        {
            level.believe(loss.left);
            self.unsure = false;
        }
        held
    }
}
