//! The difference of two lists of endpoints, in words for the operator: added, removed, altered.

use std::collections::BTreeMap;

use polaris2istio_core::model::Endpoint;
use serde::Serialize;

/// Endpoints that differ. The instances that an endpoint stands for do not count.
#[derive(Debug, Default, Serialize)]
pub struct EndpointChange {
    pub added: Vec<Endpoint>,
    pub removed: Vec<Endpoint>,
    /// Endpoints of the same address and port numbers that differ in something else.
    pub altered: Vec<Altered>,
}

/// An endpoint that changes, as it is and as it would be.
#[derive(Debug, Serialize)]
pub struct Altered {
    pub before: Endpoint,
    /// As it would be.
    pub after: Endpoint,
}

impl EndpointChange {
    /// Compares by address and port numbers: a port of another name is the same port of the same workload.
    pub fn of(before: &[Endpoint], after: &[Endpoint]) -> Self {
        let mut old: BTreeMap<(&str, Vec<u32>), Vec<&Endpoint>> = BTreeMap::new();
        for endpoint in before.iter().rev() {
            old.entry(key(endpoint)).or_default().push(endpoint);
        }
        let mut change = Self::default();
        for endpoint in after {
            match old.get_mut(&key(endpoint)).and_then(Vec::pop) {
                None => change.added.push(endpoint.clone()),
                Some(known) if differ(known, endpoint) => {
                    change.altered.push(Altered { before: known.clone(), after: endpoint.clone() });
                }
                Some(_) => {}
            }
        }
        change.removed = old.into_values().flatten().cloned().collect();
        change
    }

    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.altered.is_empty()
    }
}

fn key(endpoint: &Endpoint) -> (&str, Vec<u32>) {
    let mut numbers: Vec<_> = endpoint.ports.iter().map(|(_, number)| *number).collect();
    numbers.sort_unstable();
    (&endpoint.address, numbers)
}

fn differ(a: &Endpoint, b: &Endpoint) -> bool {
    let parts = |endpoint: &Endpoint| {
        let identity = (endpoint.service_account.clone(), endpoint.network.clone());
        (endpoint.ports.clone(), endpoint.labels.clone(), endpoint.weight, endpoint.locality.clone(), identity)
    };
    parts(a) != parts(b)
}

impl Altered {
    /// The differences, as `weight 100 -> 10`.
    pub fn parts(&self) -> String {
        let Self { before, after } = self;
        let mut parts = Vec::new();
        let mut add = |name: &str, before: String, after: String| {
            if before != after {
                parts.push(format!("{name} {before} -> {after}"));
            }
        };
        add("ports", ports(before), ports(after));
        add("weight", before.weight.to_string(), after.weight.to_string());
        add("locality", or_none(before.locality.clone()), or_none(after.locality.clone()));
        let name = |name: &Option<String>| or_none(name.clone().unwrap_or_default());
        add("service account", name(&before.service_account), name(&after.service_account));
        add("network", name(&before.network), name(&after.network));
        add("labels", labels(before), labels(after));
        parts.join(", ")
    }
}

/// An endpoint in one line.
pub fn line(endpoint: &Endpoint) -> String {
    format!("{} {} weight {}", endpoint.address, ports(endpoint), endpoint.weight)
}

/// The ports in one word.
pub fn ports(endpoint: &Endpoint) -> String {
    let ports: Vec<_> = endpoint.ports.iter().map(|(name, number)| format!("{name}={number}")).collect();
    or_none(ports.join(","))
}

fn labels(endpoint: &Endpoint) -> String {
    let labels: Vec<_> = endpoint.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    or_none(labels.join(","))
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(address: &str, port: (&str, u32), weight: u32) -> Endpoint {
        Endpoint {
            address: address.into(),
            ports: vec![(port.0.into(), port.1)],
            labels: vec![],
            weight,
            locality: String::new(),
            service_account: None,
            network: None,
            instances: vec![weight],
        }
    }

    #[test]
    fn tells_what_comes_goes_and_is_altered() {
        let before = [endpoint("a", ("http", 1), 1), endpoint("b", ("http", 1), 1), endpoint("c", ("http", 1), 1)];
        let after = [endpoint("b", ("web", 1), 2), endpoint("c", ("http", 1), 1), endpoint("c", ("http", 2), 1)];
        let change = EndpointChange::of(&before, &after);
        assert_eq!(change.removed.iter().map(line).collect::<Vec<_>>(), ["a http=1 weight 1"]);
        assert_eq!(change.added.iter().map(line).collect::<Vec<_>>(), ["c http=2 weight 1"]);
        let altered: Vec<_> = change.altered.iter().map(Altered::parts).collect();
        assert_eq!(altered, ["ports http=1 -> web=1, weight 1 -> 2"]);
    }

    #[test]
    fn tells_what_makes_it_a_workload_of_the_mesh() {
        let before = endpoint("a", ("http", 1), 1);
        let (account, network) = (Some("orders".into()), Some("vpc-1".into()));
        let after = Endpoint { service_account: account, network, ..before.clone() };
        let change = EndpointChange::of(&[before], &[after]);
        let altered: Vec<_> = change.altered.iter().map(Altered::parts).collect();
        assert_eq!(altered, ["service account none -> orders, network none -> vpc-1"]);
    }

    #[test]
    fn equal_endpoints_of_one_address_are_told_apart_by_order() {
        let two = [endpoint("a", ("http", 1), 1), endpoint("a", ("http", 1), 2)];
        assert!(EndpointChange::of(&two, &two).is_empty());
    }
}
