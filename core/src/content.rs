//! The content of an update before it is built: what its revision and size are taken from.

use crate::endpoint::{Draft, Endpoints, Member};
use crate::model::{Endpoint, MeshLocation, Port, Resolution, Update};
use crate::ports::ServicePorts;

/// Everything that an update says, borrowed.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    pub(crate) resolution: Option<Resolution>,
    pub(crate) location: Option<MeshLocation>,
    pub(crate) ports: &'a ServicePorts<'a>,
    pub(crate) endpoints: &'a Endpoints<'a>,
}

impl<'a> Content<'a> {
    /// The ports that the update holds.
    pub(crate) fn derived_ports(&self) -> impl Iterator<Item = Port> {
        self.ports.list.iter().filter(|port| port.derived).map(|port| port.to_port())
    }

    /// Service port name and own port of an endpoint, by name. All that can be named are: an endpoint then stands by
    /// itself, whatever becomes of the service port's number and target.
    pub(crate) fn endpoint_ports(&self, draft: &Draft<'a>) -> impl Iterator<Item = (&str, u32)> {
        self.endpoints.members(draft).iter().filter_map(|member| {
            let port = &self.ports.list[member.slot];
            port.nameable.then_some((port.name.as_ref(), member.candidate.instance.port))
        })
    }

    /// The update, built.
    pub(crate) fn build(&self, content_revision: String) -> Update {
        Update {
            resolution: self.resolution,
            location: self.location,
            ports: self.derived_ports().collect(),
            endpoints: self.endpoints.list.iter().map(|draft| self.endpoint(draft)).collect(),
            annotations: Vec::new(),
            content_revision: Some(content_revision),
        }
    }

    fn endpoint(&self, draft: &Draft<'a>) -> Endpoint {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let members = self.endpoints.members(draft);
        let mut ports = Vec::with_capacity(members.len());
        ports.extend(self.endpoint_ports(draft).map(|(name, port)| (name.to_owned(), port)));
        Endpoint {
            address: draft.first.address.text().to_owned(),
            ports,
            labels: self.endpoints.labels(draft).iter().map(owned).collect(),
            weight: draft.first.instance.weight,
            locality: draft.locality.text(),
            service_account: draft.identity.service_account.map(str::to_owned),
            network: draft.identity.network.map(str::to_owned),
            instances: instances(members),
        }
    }
}

/// The instances that an endpoint stands for, by slot, each once.
fn instances(members: &[Member<'_>]) -> Vec<u32> {
    let mut instances = Vec::with_capacity(members.len());
    for Member { candidate, .. } in members {
        if !candidate.slots.are_several() || !instances.contains(&candidate.index) {
            instances.push(candidate.index);
        }
    }
    instances
}
