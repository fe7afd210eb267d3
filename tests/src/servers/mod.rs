//! Real servers on loopback: an API server with its etcd, Polaris, an OCI
//! registry, and those of a mesh: istiod, Envoy and CoreDNS.
//!
//! Most tests take the [`shared`] ones and keep apart by namespaces of their
//! own. A test that stops, restarts or empties a server starts its own with
//! [`ApiServer::start`] or [`Polaris::start`], which need the [`binaries`].

mod apiserver;
mod audit;
mod binaries;
mod certificates;
mod coredns;
mod daemon;
mod directory;
mod envoy;
mod etcd;
mod istioctl;
mod istiod;
mod kubectl;
mod manifests;
mod oci_registry;
mod pilot_agent;
mod polaris;
mod ports;
mod process;
mod ready;
mod release;
mod shared;
mod spawner;

pub use apiserver::{ApiServer, ApiServerOptions, User, service_entry};
pub use audit::{Write, count};
pub use binaries::{Binaries, MeshBinaries, binaries, binaries_with_helm, mesh_binaries, promtool};
pub use coredns::CoreDns;
pub use directory::Directory;
pub use envoy::{Envoy, Workload};
pub use istioctl::istioctl_validate;
pub use istiod::{Istiod, IstiodOptions};
pub use manifests::Manifests;
pub use oci_registry::{OciOptions, OciRegistry};
pub use pilot_agent::PilotAgent;
pub use polaris::{Admin, Answer, Instance, Polaris, PolarisOptions};
pub use ports::free_port;
pub use process::{Process, Program};
pub use release::Release;
pub use shared::{Servers, shared};
