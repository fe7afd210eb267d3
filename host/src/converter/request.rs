//! A request as the component model lowers it: views into the host's model, nothing copied but pointers.

use polaris2istio_core::model::{Declarer, Entry, EntryPort, MeshLocation, Resolution, Service};

use super::bindings::wit;

type Pair<'a> = (&'a str, &'a str);

/// The slices that a borrowed request points into. All pairs of all instances lie in one vector, so that a thousand
/// instances cost one allocation for their metadata and one for themselves.
pub(super) struct Lowering<'a> {
    instance_metadata: Vec<Pair<'a>>,
    service_metadata: Vec<Pair<'a>>,
    labels: Vec<Pair<'a>>,
    annotations: Vec<Pair<'a>>,
    parameters: Vec<Pair<'a>>,
    hosts: Vec<&'a str>,
    addresses: Vec<&'a str>,
    export_to: Vec<&'a str>,
    ports: Vec<wit::EntryPort<'a>>,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(service: &'a Service, entry: &'a Entry, parameters: &'a [(String, String)]) -> Self {
        Self {
            instance_metadata: service.instances.iter().flat_map(|instance| pairs(&instance.metadata)).collect(),
            service_metadata: pairs(&service.metadata).collect(),
            labels: pairs(&entry.labels).collect(),
            annotations: pairs(&entry.annotations).collect(),
            parameters: pairs(parameters).collect(),
            hosts: entry.hosts.iter().map(String::as_str).collect(),
            addresses: entry.addresses.iter().map(String::as_str).collect(),
            export_to: entry.export_to.iter().map(String::as_str).collect(),
            ports: entry.ports.iter().map(port).collect(),
        }
    }

    /// The instances, each with its part of the one vector of pairs.
    pub(super) fn instances<'b>(&'b self, service: &'b Service) -> Vec<wit::Instance<'b>> {
        let mut rest = self.instance_metadata.as_slice();
        let view = |instance: &'b polaris2istio_core::model::Instance| {
            let (metadata, others) = rest.split_at(instance.metadata.len());
            rest = others;
            wit::Instance {
                id: &instance.id,
                host: &instance.host,
                port: instance.port,
                protocol: &instance.protocol,
                version: &instance.version,
                weight: instance.weight,
                priority: instance.priority,
                healthy: instance.healthy,
                isolated: instance.isolated,
                location: wit::Location {
                    region: &instance.location.region,
                    zone: &instance.location.zone,
                    campus: &instance.location.campus,
                },
                metadata,
            }
        };
        service.instances.iter().map(view).collect()
    }

    pub(super) fn request<'b>(
        &'b self,
        service: &'b Service,
        instances: &'b [wit::Instance<'b>],
        entry: &'b Entry,
        published: Option<&'b str>,
    ) -> wit::Request<'b> {
        wit::Request {
            service: wit::Service {
                namespace: &service.namespace,
                name: &service.name,
                revision: &service.revision,
                metadata: &self.service_metadata,
                instances,
            },
            entry: wit::Entry {
                namespace: &entry.namespace,
                name: &entry.name,
                labels: &self.labels,
                annotations: &self.annotations,
                hosts: &self.hosts,
                addresses: &self.addresses,
                location: entry.location.map(location),
                resolution: entry.resolution.map(resolution),
                export_to: &self.export_to,
                has_workload_selector: entry.has_workload_selector,
                ports: &self.ports,
            },
            parameters: &self.parameters,
            published,
        }
    }
}

fn pairs(list: &[(String, String)]) -> impl Iterator<Item = Pair<'_>> {
    list.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

fn port(port: &EntryPort) -> wit::EntryPort<'_> {
    wit::EntryPort {
        name: &port.name,
        number: port.number,
        protocol: &port.protocol,
        target_port: port.target_port,
        declared_by: match port.declared_by {
            Declarer::Controller => wit::Declarer::Controller,
            Declarer::Other => wit::Declarer::Other,
        },
    }
}

fn location(location: MeshLocation) -> wit::MeshLocation {
    match location {
        MeshLocation::MeshExternal => wit::MeshLocation::MeshExternal,
        MeshLocation::MeshInternal => wit::MeshLocation::MeshInternal,
    }
}

fn resolution(resolution: Resolution) -> wit::Resolution {
    match resolution {
        Resolution::None => wit::Resolution::None,
        Resolution::Static => wit::Resolution::Static,
        Resolution::Dns => wit::Resolution::Dns,
        Resolution::DnsRoundRobin => wit::Resolution::DnsRoundRobin,
        Resolution::DynamicDns => wit::Resolution::DynamicDns,
    }
}
