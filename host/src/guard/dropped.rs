//! Which of the endpoint ports that a module drops, though they are listed as fit, are held.

use std::collections::HashMap;

use super::endpoint_port::EndpointPort;
use super::entry::Guard;
use super::ground::Ground;
use super::guard_input::GuardInput;
use super::hold::Kind;
use super::operator_fingerprint::OperatorFingerprint;

impl Guard {
    /// Splits off the endpoint ports that the module drops because an operator wants it so, having promoted this module or just
    /// changed the entry's ports or annotations. Returns the number of these, and the others.
    pub(super) fn split_explained(
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
        if fingerprint.promotion != known.promotion {
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
    pub(super) fn hold_dropped(
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
}
