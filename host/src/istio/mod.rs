//! The Istio side: ServiceEntries and who declared their fields. It knows nothing of the registry.

mod encode;
mod ownership;
mod pairs;
mod service_entry;
mod view;

pub use encode::encode_entry;
pub use ownership::{Claim, MANAGER, Ownership, Ports};
pub use pairs::Pairs;
pub use service_entry::{
    Endpoint, GROUP, HostAddress, KIND, Location, PLURAL, Port, Resolution, ServiceEntry, Spec, Status, VERSIONS,
};
pub use view::Unsupported;
