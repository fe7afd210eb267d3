//! The state of each instance that the registry lists, as far as the guard needs it: whether it is still listed, and whether the
//! operator took it out of service on purpose. It is read natively, so that a module has no say in it.

use std::collections::HashMap;

use polaris2istio_core::annotation::PROTOCOL;
use polaris2istio_core::model::Instance;
use polaris2istio_core::protocol;

use super::endpoint_port::{EndpointPort, canonical};
use crate::istio::ServiceEntry;
use crate::registry::Content;

/// The state of a listed instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum InstanceState {
    /// Listed, and taken out of service by the operator: isolated, of weight 0, or with metadata that says so.
    OutOfService,
    /// Listed and in service, but of a protocol that the entry's annotation does not ask for.
    NotAskedFor,
    /// Listed and in service, and unhealthy by what the registry was told, which may be wrong for all at once.
    Unhealthy,
    /// Listed, and nothing in the registry or on the entry says that it should take no traffic.
    Fit,
}

/// The instances by their address.
pub(super) struct InstanceStates(HashMap<String, Vec<(u32, InstanceState)>>);

/// Where each instance is listed, by its id.
pub(super) fn listed_at(content: &Content) -> HashMap<&str, EndpointPort> {
    let place = |instance: &Instance| EndpointPort { address: canonical(&instance.host), port: Some(instance.port) };
    content.instances().iter().map(|instance| (instance.id.as_str(), place(instance))).collect()
}

/// How an entry judges instances.
struct Judge<'a> {
    /// The protocol that its annotation asks for.
    asked: &'a str,
    excluded: &'a [(String, String)],
}

impl<'a> Judge<'a> {
    fn new(entry: &'a ServiceEntry, excluded: &'a [(String, String)]) -> Self {
        Self { asked: entry.annotation(PROTOCOL).unwrap_or_default(), excluded }
    }

    fn is_out_of_service(&self, instance: &Instance) -> bool {
        let is_excluded = instance.metadata.iter().any(|pair| self.excluded.contains(pair));
        instance.isolated || instance.weight == 0 || is_excluded
    }

    fn is_asked_for(&self, instance: &Instance) -> bool {
        protocol::matches(self.asked, &instance.protocol)
    }

    fn any_healthy(&self, content: &Content) -> bool {
        let is_served = |instance: &&Instance| !self.is_out_of_service(instance) && self.is_asked_for(instance);
        content.instances().iter().filter(is_served).any(|instance| instance.healthy)
    }
}

/// Whether an instance in service is healthy. If none is, all count as healthy, as in the default rules.
pub(super) fn any_healthy(content: &Content, entry: &ServiceEntry, excluded: &[(String, String)]) -> bool {
    Judge::new(entry, excluded).any_healthy(content)
}

impl InstanceStates {
    /// Judges all instances for an entry, in the default rules' order: first whether they are in service at all, then health.
    pub(super) fn of_content(content: &Content, entry: &ServiceEntry, excluded: &[(String, String)]) -> Self {
        let judge = Judge::new(entry, excluded);
        let any_healthy = judge.any_healthy(content);
        let mut states: HashMap<_, Vec<_>> = HashMap::new();
        for instance in content.instances() {
            let state = match instance {
                _ if judge.is_out_of_service(instance) => InstanceState::OutOfService,
                _ if !judge.is_asked_for(instance) => InstanceState::NotAskedFor,
                _ if any_healthy && !instance.healthy => InstanceState::Unhealthy,
                _ => InstanceState::Fit,
            };
            states.entry(canonical(&instance.host)).or_default().push((instance.port, state));
        }
        Self(states)
    }

    /// The state of the instance at an endpoint port; `None` if none is listed there. Of several, the fit one counts.
    pub(super) fn of(&self, endpoint_port: &EndpointPort) -> Option<InstanceState> {
        let there = self.0.get(&endpoint_port.address)?.iter();
        there.filter(|(port, _)| endpoint_port.port.is_none_or(|wanted| wanted == *port)).map(|(_, state)| *state).max()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use polaris2istio_core::model::{Location, Service};
    use serde_json::json;

    use super::*;

    fn instance(host: &str, change: impl Fn(&mut Instance)) -> Instance {
        let location = Location { region: String::new(), zone: String::new(), campus: String::new() };
        let mut instance = Instance {
            id: host.into(),
            host: host.into(),
            port: 8080,
            protocol: "http".into(),
            version: String::new(),
            weight: 100,
            priority: 0,
            healthy: true,
            isolated: false,
            location,
            metadata: vec![],
        };
        change(&mut instance);
        instance
    }

    #[track_caller]
    fn check(
        instances: Vec<Instance>,
        asked: Option<&str>,
        address: &str,
        port: Option<u32>,
        found: Option<InstanceState>,
    ) {
        let (namespace, name, revision) = ("ns".into(), "s".into(), String::new());
        let service = Service { namespace, name, revision, metadata: vec![], instances };
        let annotations = asked.map(|asked| json!({PROTOCOL: asked})).unwrap_or_default();
        let entry = serde_json::from_value(json!({"metadata": {"annotations": annotations}})).unwrap();
        let endpoint_port = EndpointPort { address: address.into(), port };
        let content = Content::Listed(Arc::new(service));
        assert_eq!(
            InstanceStates::of_content(&content, &entry, &[("stage".into(), "test".into())]).of(&endpoint_port),
            found
        );
    }

    #[test]
    fn what_someone_took_out_of_service_is_no_loss() {
        let other = || instance("10.0.0.2", |_| {});
        let cases: [(fn(&mut Instance), _); 6] = [
            (|_| {}, InstanceState::Fit),
            (|i| i.isolated = true, InstanceState::OutOfService),
            (|i| i.weight = 0, InstanceState::OutOfService),
            (|i| i.healthy = false, InstanceState::Unhealthy),
            (|i| i.metadata = vec![("stage".into(), "test".into())], InstanceState::OutOfService),
            (|i| i.metadata = vec![("stage".into(), "prod".into())], InstanceState::Fit),
        ];
        for (change, state) in cases {
            check(vec![instance("10.0.0.1", change), other()], None, "10.0.0.1", Some(8080), Some(state));
        }
        check(vec![other()], None, "10.0.0.1", Some(8080), None);
    }

    #[test]
    fn all_unhealthy_are_all_fit() {
        let sick = |host| instance(host, |i| i.healthy = false);
        let isolated = instance("10.0.0.3", |i| i.isolated = true);
        check(vec![sick("10.0.0.1"), isolated], None, "10.0.0.1", Some(8080), Some(InstanceState::Fit));
    }

    #[test]
    fn ports_protocols_and_spellings() {
        let one = || vec![instance("2001:DB8::1", |_| {})];
        check(one(), None, "2001:db8::1", Some(8080), Some(InstanceState::Fit));
        check(one(), None, "2001:db8::1", None, Some(InstanceState::Fit));
        check(one(), None, "2001:db8::1", Some(9090), None);
        check(one(), Some("any"), "2001:db8::1", Some(8080), Some(InstanceState::Fit));
        check(one(), Some("http"), "2001:db8::1", Some(8080), Some(InstanceState::Fit));
        check(one(), Some("grpc"), "2001:db8::1", Some(8080), Some(InstanceState::NotAskedFor));
        let twice = vec![instance("10.0.0.1", |i| i.isolated = true), instance("10.0.0.1", |_| {})];
        check(twice, None, "10.0.0.1", Some(8080), Some(InstanceState::Fit));
    }
}
