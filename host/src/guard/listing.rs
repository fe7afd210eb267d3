//! What the registry lists for a service, as far as the guard asks: is an instance still there, and did someone take it out
//! of service on purpose? It is read natively, so that a module has no say in it.

use std::collections::HashMap;

use polaris2istio_core::annotation::PROTOCOL;
use polaris2istio_core::model::{Instance, Service};
use polaris2istio_core::protocol;

use super::place::{Place, canonical};
use crate::istio::ServiceEntry;

/// What the registry lists for an entry's service.
#[derive(Clone, Copy, Debug)]
pub enum Listing<'a> {
    /// There is no such service.
    Missing,
    /// The service as it answered, fit instances and others.
    Service(&'a Service),
}

/// What became of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Listed, and taken out of service by someone: isolated, weight 0, unhealthy, of a protocol that was not asked for.
    OutOfService,
    /// Listed, and nothing in the registry or on the entry says that it should take no traffic.
    Fit,
}

/// The instances by their address.
pub(super) struct Standings(HashMap<String, Vec<(u32, Standing)>>);

impl<'a> Listing<'a> {
    /// Whether it has no instance at all.
    pub(super) fn is_empty(self) -> bool {
        self.instances().is_empty()
    }

    fn instances(self) -> &'a [Instance] {
        match self {
            Self::Missing => &[],
            Self::Service(service) => &service.instances,
        }
    }

    /// Judges all instances for an entry, by the default rules' order: what is in service at all, then health.
    pub(super) fn standings(self, entry: &ServiceEntry) -> Standings {
        let asked = entry.annotation(PROTOCOL).unwrap_or_default();
        let in_service = |instance: &Instance| {
            !instance.isolated && instance.weight > 0 && protocol::matches(asked, &instance.protocol)
        };
        // Where none is healthy, all count as if they were, as in the default rules.
        let any_healthy = self.instances().iter().any(|instance| instance.healthy && in_service(instance));
        let mut standings: HashMap<_, Vec<_>> = HashMap::new();
        for instance in self.instances() {
            let fit = in_service(instance) && (instance.healthy || !any_healthy);
            let standing = if fit { Standing::Fit } else { Standing::OutOfService };
            standings.entry(canonical(&instance.host)).or_default().push((instance.port, standing));
        }
        Standings(standings)
    }
}

impl Standings {
    /// How the instance at a place stands; none where none is listed there. Of several, the fit one counts.
    pub(super) fn of(&self, place: &Place) -> Option<Standing> {
        let there = self.0.get(&place.address)?.iter();
        there.filter(|(port, _)| place.port.is_none_or(|wanted| wanted == *port)).map(|(_, standing)| *standing).max()
    }
}

#[cfg(test)]
mod tests {
    use polaris2istio_core::model::Location;
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
    fn check(instances: Vec<Instance>, asked: Option<&str>, address: &str, port: Option<u32>, found: Option<Standing>) {
        let (namespace, name, revision) = ("ns".into(), "s".into(), String::new());
        let service = Service { namespace, name, revision, metadata: vec![], instances };
        let annotations = asked.map(|asked| json!({PROTOCOL: asked})).unwrap_or_default();
        let entry = serde_json::from_value(json!({"metadata": {"annotations": annotations}})).unwrap();
        let place = Place { address: address.into(), port };
        assert_eq!(Listing::Service(&service).standings(&entry).of(&place), found);
    }

    #[test]
    fn what_someone_took_out_of_service_is_no_loss() {
        let other = || instance("10.0.0.2", |_| {});
        let cases: [(fn(&mut Instance), _); 4] = [
            (|_| {}, Standing::Fit),
            (|i| i.isolated = true, Standing::OutOfService),
            (|i| i.weight = 0, Standing::OutOfService),
            (|i| i.healthy = false, Standing::OutOfService),
        ];
        for (change, standing) in cases {
            check(vec![instance("10.0.0.1", change), other()], None, "10.0.0.1", Some(8080), Some(standing));
        }
        check(vec![other()], None, "10.0.0.1", Some(8080), None);
    }

    #[test]
    fn all_unhealthy_are_all_fit() {
        let sick = |host| instance(host, |i| i.healthy = false);
        let isolated = instance("10.0.0.3", |i| i.isolated = true);
        check(vec![sick("10.0.0.1"), isolated], None, "10.0.0.1", Some(8080), Some(Standing::Fit));
    }

    #[test]
    fn ports_protocols_and_spellings() {
        let one = || vec![instance("2001:DB8::1", |_| {})];
        check(one(), None, "2001:db8::1", Some(8080), Some(Standing::Fit));
        check(one(), None, "2001:db8::1", None, Some(Standing::Fit));
        check(one(), None, "2001:db8::1", Some(9090), None);
        check(one(), Some("any"), "2001:db8::1", Some(8080), Some(Standing::Fit));
        check(one(), Some("http"), "2001:db8::1", Some(8080), Some(Standing::Fit));
        check(one(), Some("grpc"), "2001:db8::1", Some(8080), Some(Standing::OutOfService));
        let twice = vec![instance("10.0.0.1", |i| i.isolated = true), instance("10.0.0.1", |_| {})];
        check(twice, None, "10.0.0.1", Some(8080), Some(Standing::Fit));
    }
}
