//! The unit of a disappearance: one port at one address. An endpoint with two ports can lose one of them.

use std::collections::HashSet;

use polaris2istio_core::address::Address;

use crate::istio::Endpoint;

/// A port at an address, as traffic finds it. The port's name is no part of it, nor weight, labels and locality.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EndpointPort {
    /// The address in its canonical form.
    pub(super) address: String,
    /// The number of the port; `None` if the endpoint names no port, and uses the service's.
    pub(super) port: Option<u32>,
}

/// The canonical form of an address.
pub(super) fn canonical(address: &str) -> String {
    Address::read(address).map_or_else(|| address.to_owned(), |read| read.text().to_owned())
}

/// The endpoint ports of an endpoint, in the order of its ports.
pub(super) fn endpoint_ports(endpoint: &Endpoint) -> Vec<EndpointPort> {
    let address = canonical(&endpoint.address);
    if endpoint.ports.is_empty() {
        return vec![EndpointPort { address, port: None }];
    }
    endpoint.ports.iter().map(|(_, port)| EndpointPort { address: address.clone(), port: Some(*port) }).collect()
}

/// The endpoint ports of all endpoints.
pub(super) fn all_endpoint_ports(endpoints: &[Endpoint]) -> HashSet<EndpointPort> {
    endpoints.iter().flat_map(endpoint_ports).collect()
}
