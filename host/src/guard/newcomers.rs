//! Instances that are unhealthy from the first, and served only because no other one is healthy. They replace nothing: a
//! registry that was restored from an old backup lists instances that are long gone, none of which sends a heartbeat, instead of
//! those that serve. In a service whose health nobody reports there never was a healthy one, so nothing is lost by them.

use std::collections::HashSet;

use super::endpoint_port::EndpointPort;
use super::entry::Guard;
use super::guard_input::GuardInput;
use super::instance_states::any_healthy;

impl Guard {
    /// How many of those `present` count: all, but for newcomers that no healthy instance is listed beside. `known` ones, which
    /// the entry had when the last healthy one was listed, do count.
    pub(super) fn count_present(
        &mut self,
        present: &HashSet<EndpointPort>,
        known: &HashSet<EndpointPort>,
        input: &GuardInput<'_>,
    ) -> usize {
        let newcomers: HashSet<_> = present
            .iter()
            .filter(|endpoint_port| !known.contains(*endpoint_port) || self.newcomers.contains(*endpoint_port))
            .cloned()
            .collect();
        let is_healthy = newcomers.is_empty() || any_healthy(input.content, input.live, input.excluded);
        self.newcomers = if is_healthy { HashSet::new() } else { newcomers };
        present.len() - self.newcomers.len()
    }
}
