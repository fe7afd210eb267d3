//! Converts a ServiceEntry into a module's view of it, and a module's answer into the fields of a ServiceEntry.

use polaris2istio_core::model;

use super::service_entry::{Endpoint, Location, Port, Resolution, ServiceEntry};

/// A value of the entry that this release cannot pass to a module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{field}` has a value that this release does not know; the entry is left as it is until the controller is upgraded"
)]
pub struct Unsupported {
    /// Path of the field.
    pub field: &'static str,
}

impl ServiceEntry {
    /// The entry but for its endpoints, in the model of the WIT world.
    pub fn view(&self) -> Result<model::Entry, Unsupported> {
        let pairs = |map: &Option<std::collections::BTreeMap<String, String>>| {
            map.iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        Ok(model::Entry {
            namespace: self.metadata.namespace.clone().unwrap_or_default(),
            name: self.metadata.name.clone().unwrap_or_default(),
            labels: pairs(&self.metadata.labels),
            annotations: pairs(&self.metadata.annotations),
            hosts: self.spec.hosts.clone(),
            addresses: self.spec.addresses.clone(),
            location: self.spec.location.map(location).transpose()?,
            resolution: self.spec.resolution.map(resolution).transpose()?,
            export_to: self.spec.export_to.clone(),
            has_workload_selector: self.spec.workload_selector.is_some(),
            ports: self.spec.ports.iter().map(|port| self.port(port)).collect(),
        })
    }

    fn port(&self, port: &Port) -> model::EntryPort {
        // A port that another manager declared too is theirs: ownership passes on by two managers with equal values.
        let ours =
            self.ownership.ours_as_port(&port.name) && self.ownership.others_of_port(&port.name).next().is_none();
        model::EntryPort {
            name: port.name.clone(),
            number: port.number,
            protocol: port.protocol.clone(),
            target_port: port.target_port,
            declared_by: if ours { model::Declarer::Controller } else { model::Declarer::Other },
        }
    }
}

fn location(location: Location) -> Result<model::MeshLocation, Unsupported> {
    match location {
        Location::MeshExternal => Ok(model::MeshLocation::MeshExternal),
        Location::MeshInternal => Ok(model::MeshLocation::MeshInternal),
        Location::Unknown => Err(Unsupported { field: "spec.location" }),
    }
}

fn resolution(resolution: Resolution) -> Result<model::Resolution, Unsupported> {
    match resolution {
        Resolution::None => Ok(model::Resolution::None),
        Resolution::Static => Ok(model::Resolution::Static),
        Resolution::Dns => Ok(model::Resolution::Dns),
        Resolution::DnsRoundRobin => Ok(model::Resolution::DnsRoundRobin),
        Resolution::DynamicDns => Ok(model::Resolution::DynamicDns),
        Resolution::Unknown => Err(Unsupported { field: "spec.resolution" }),
    }
}

impl From<model::Resolution> for Resolution {
    fn from(resolution: model::Resolution) -> Self {
        match resolution {
            model::Resolution::None => Self::None,
            model::Resolution::Static => Self::Static,
            model::Resolution::Dns => Self::Dns,
            model::Resolution::DnsRoundRobin => Self::DnsRoundRobin,
            model::Resolution::DynamicDns => Self::DynamicDns,
        }
    }
}

impl From<model::MeshLocation> for Location {
    fn from(location: model::MeshLocation) -> Self {
        match location {
            model::MeshLocation::MeshExternal => Self::MeshExternal,
            model::MeshLocation::MeshInternal => Self::MeshInternal,
        }
    }
}

impl From<model::Port> for Port {
    fn from(port: model::Port) -> Self {
        Self { name: port.name, number: port.number, protocol: port.protocol, target_port: port.target_port }
    }
}

impl From<model::Endpoint> for Endpoint {
    fn from(endpoint: model::Endpoint) -> Self {
        Self {
            address: endpoint.address,
            ports: endpoint.ports.into_iter().collect(),
            labels: endpoint.labels.into_iter().collect(),
            locality: endpoint.locality,
            service_account: endpoint.service_account.unwrap_or_default(),
            network: endpoint.network.unwrap_or_default(),
            weight: Some(endpoint.weight),
            others: Default::default(),
        }
    }
}

/// An endpoint of an entry does not tell which instances it stands for.
impl From<Endpoint> for model::Endpoint {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            address: endpoint.address,
            ports: endpoint.ports.into(),
            labels: endpoint.labels.into(),
            locality: endpoint.locality,
            service_account: Some(endpoint.service_account).filter(|name| !name.is_empty()),
            network: Some(endpoint.network).filter(|name| !name.is_empty()),
            weight: endpoint.weight.unwrap_or(1),
            instances: Vec::new(),
        }
    }
}
