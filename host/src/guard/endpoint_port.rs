//! What disappears: one port at one address. An endpoint with two ports can lose one of them.

use std::collections::HashSet;

use polaris2istio_core::address::Address;

use crate::istio::Endpoint;

/// A port at an address, as traffic finds it. The port's name is no part of it, nor weight, labels and locality.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct EndpointPort {
    /// Canonical.
    pub(super) address: String,
    /// None where the endpoint names no port, and takes the service's.
    pub(super) port: Option<u32>,
}

/// An address in its one way of writing.
pub(super) fn canonical(address: &str) -> String {
    Address::read(address).map_or_else(|| address.to_owned(), |read| read.text().to_owned())
}

/// The places of an endpoint, in the order of its ports.
pub(super) fn places(endpoint: &Endpoint) -> Vec<EndpointPort> {
    let address = canonical(&endpoint.address);
    if endpoint.ports.is_empty() {
        return vec![EndpointPort { address, port: None }];
    }
    endpoint.ports.iter().map(|(_, port)| EndpointPort { address: address.clone(), port: Some(*port) }).collect()
}

/// The places of all endpoints.
pub(super) fn all_places(endpoints: &[Endpoint]) -> HashSet<EndpointPort> {
    endpoints.iter().flat_map(places).collect()
}
