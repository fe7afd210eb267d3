//! Puts held endpoints back beside the module's own, without moving others.

use std::collections::{BTreeMap, HashMap};

use super::endpoint_port::{EndpointPort, canonical, endpoint_ports};
use crate::istio::{Endpoint, Resolution, ServiceEntry};
use crate::plan::{AddressRule, Desired, EndpointRule};

/// Adds the `held` endpoint ports of `base` to `desired`, each after the endpoint that it followed. Removes from `held`
/// those that do not fit the entry as it is now: a port that its operator removed, a name under STATIC.
pub(super) fn put_back<G>(
    base: &[Endpoint],
    desired: &mut Desired,
    held: &mut HashMap<EndpointPort, G>,
    live: &ServiceEntry,
    addresses: &AddressRule,
) {
    let mut parts: Vec<_> = base.iter().map(|endpoint| split(endpoint, held)).collect();
    keep_what_they_need(parts.iter().flatten().map(|(_, part)| part), desired, live);
    {
        let rule = EndpointRule::new(desired, live, addresses);
        let mut fits = |endpoint_port: &EndpointPort, part: &Endpoint| {
            let fits = rule.as_ref().is_ok_and(|rule| rule.accepts(part));
            if !fits {
                held.remove(endpoint_port);
            }
            fits
        };
        parts.iter_mut().for_each(|parts| parts.retain(|(endpoint_port, part)| fits(endpoint_port, part)));
    }
    desired.endpoints = merge(base, parts, &desired.endpoints).into();
}

/// The held ports of an endpoint, each as an endpoint of its own.
fn split<G>(endpoint: &Endpoint, held: &HashMap<EndpointPort, G>) -> Vec<(EndpointPort, Endpoint)> {
    let address = canonical(&endpoint.address);
    let whole = EndpointPort { address: address.clone(), port: None };
    if endpoint.ports.is_empty() {
        return held.contains_key(&whole).then(|| (whole, endpoint.clone())).into_iter().collect();
    }
    let one = |name: &str, port: u32| {
        let endpoint_port = EndpointPort { address: address.clone(), port: Some(port) };
        let part = || Endpoint { ports: [(name.to_owned(), port)].into_iter().collect(), ..endpoint.clone() };
        held.contains_key(&endpoint_port).then(|| (endpoint_port, part()))
    };
    endpoint.ports.iter().filter_map(|(name, port)| one(name, *port)).collect()
}

/// Keeps the ports and the resolution of held endpoints: a module that is given no instances may give neither.
fn keep_what_they_need<'a>(parts: impl Iterator<Item = &'a Endpoint>, desired: &mut Desired, live: &ServiceEntry) {
    if desired.endpoints.is_empty() && live.spec.resolution.is_some_and(|live| live != Resolution::None) {
        desired.resolution = None;
    }
    for (name, _) in parts.flat_map(|part| part.ports.iter()) {
        let declared = live.ownership.others_of_port(name).next().is_some();
        if declared || desired.ports.iter().any(|port| port.name == name) {
            continue;
        }
        let earlier = live.spec.ports.iter().find(|port| port.name == name);
        let earlier = earlier.filter(|earlier| desired.ports.iter().all(|port| port.number != earlier.number));
        desired.ports.extend(earlier.cloned());
    }
}

fn merge(base: &[Endpoint], parts: Vec<Vec<(EndpointPort, Endpoint)>>, desired: &[Endpoint]) -> Vec<Endpoint> {
    let mut own = desired.to_vec();
    let at: HashMap<EndpointPort, usize> = own
        .iter()
        .enumerate()
        .flat_map(|(at, endpoint)| endpoint_ports(endpoint).into_iter().map(move |endpoint_port| (endpoint_port, at)))
        .collect();
    let mut after: BTreeMap<Option<usize>, Vec<Endpoint>> = BTreeMap::new();
    let mut anchor = None;
    for (endpoint, parts) in base.iter().zip(parts) {
        let same = endpoint_ports(endpoint).iter().find_map(|endpoint_port| at.get(endpoint_port)).copied();
        let mut rest = Vec::new();
        for (_, part) in parts {
            match same.and_then(|at| own.get_mut(at)) {
                // It lost one of its ports.
                Some(own) if !own.ports.iter().any(|(name, _)| part.ports.iter().any(|(held, _)| held == name)) => {
                    join(own, &part);
                }
                _ => rest.push(part),
            }
        }
        anchor = same.or(anchor);
        if let Some(mut first) = rest.pop() {
            rest.iter().for_each(|part| join(&mut first, part));
            after.entry(anchor).or_default().push(first);
        }
    }
    let mut merged = after.remove(&None).unwrap_or_default();
    for (at, endpoint) in own.into_iter().enumerate() {
        merged.push(endpoint);
        merged.extend(after.remove(&Some(at)).into_iter().flatten());
    }
    merged
}

/// Adds a part's ports.
fn join(endpoint: &mut Endpoint, part: &Endpoint) {
    let ports = endpoint.ports.iter().chain(part.ports.iter());
    endpoint.ports = ports.map(|(name, port)| (name.to_owned(), *port)).collect();
}
