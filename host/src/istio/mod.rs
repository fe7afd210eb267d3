//! The Istio side: ServiceEntries, who declared their fields, and what the API server accepts. It knows nothing of the
//! registry.

mod ownership;
mod pairs;
mod rules;
mod service_entry;
mod view;

pub use ownership::{Claim, MANAGER, Ownership, Ports};
pub use pairs::Pairs;
pub use rules::{AddressRule, EndpointRule, Violation, check};
pub use service_entry::{
    Endpoint, GROUP, HostAddress, KIND, Location, PLURAL, Port, Resolution, ServiceEntry, Spec, Status, VERSIONS,
};
pub use view::Unsupported;
