//! The instances that an endpoint stands for, if its address or port is not theirs: a module may put a gateway's address in
//! the place of an instance's. Without this, an instance that the operator isolates would look like one that vanished.

use std::collections::HashMap;

use polaris2istio_core::model::{Service, Update};

use super::endpoint_port::{EndpointPort, canonical};

/// The instances' own endpoint ports, by those that a module gave them; equal ones are left out.
#[derive(Clone, Debug, Default)]
pub struct Origins(pub(super) HashMap<EndpointPort, Vec<EndpointPort>>);

impl Origins {
    /// The origins that the module tells in its answer for a service.
    pub fn of(update: &Update, service: &Service) -> Self {
        let mut origins = HashMap::new();
        for endpoint in &update.endpoints {
            let instances = endpoint.instances.iter().filter_map(|at| service.instances.get(*at as usize));
            let own: Vec<_> = instances
                .map(|instance| EndpointPort { address: canonical(&instance.host), port: Some(instance.port) })
                .collect();
            let address = canonical(&endpoint.address);
            let given: Vec<_> = match endpoint.ports.as_slice() {
                [] => vec![None],
                ports => ports.iter().map(|(_, port)| Some(*port)).collect(),
            };
            for port in given {
                let same =
                    |own: &EndpointPort| own.address == address && port.is_none_or(|port| own.port == Some(port));
                if !own.is_empty() && !own.iter().any(same) {
                    origins.insert(EndpointPort { address: address.clone(), port }, own.clone());
                }
            }
        }
        Self(origins)
    }
}
