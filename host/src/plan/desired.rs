//! The desired content of a ServiceEntry, in the fields that this controller may write.

use std::collections::BTreeMap;
use std::sync::Arc;

use polaris2istio_core::model::{Service, Update};

use crate::annotation::SOURCE;
use crate::istio::{Endpoint, Location, Port, Resolution};
use crate::title::title;

/// The content that an entry should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The resolution; `None` leaves the present one.
    pub resolution: Option<Resolution>,
    /// The location; `None` leaves the operator's.
    pub location: Option<Location>,
    /// The ports that the module derived.
    pub ports: Vec<Port>,
    /// All endpoints, in order. Shared with the record of the entry's last content, which is the same list.
    pub endpoints: Arc<[Endpoint]>,
    /// The module's annotations, and the one that names the endpoints' service.
    pub annotations: BTreeMap<String, String>,
    /// The registry's revision; written only along with something else.
    pub revision: String,
}

impl Desired {
    /// A module's answer for a service.
    pub fn of(update: Update, service: &Service) -> Self {
        Self::new(update, title(&service.namespace, &service.name), service.revision.clone())
    }

    /// A module's answer for a service, given as `namespace/name` with its revision.
    pub fn new(update: Update, source: String, revision: String) -> Self {
        let mut annotations: BTreeMap<_, _> = update.annotations.into_iter().collect();
        annotations.insert(SOURCE.into(), source);
        Self {
            resolution: update.resolution.map(Resolution::from),
            location: update.location.map(Location::from),
            ports: update.ports.into_iter().map(Port::from).collect(),
            endpoints: update.endpoints.into_iter().map(Endpoint::from).collect(),
            annotations,
            revision,
        }
    }
}
