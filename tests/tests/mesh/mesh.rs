//! A mesh: an API server, istiod with its webhook in force, and a Polaris.

use polaris2istio_tests::servers::{
    ApiServer, Envoy, Istiod, IstiodOptions, MeshBinaries, Polaris, PolarisOptions, Workload, binaries, free_port,
    mesh_binaries,
};
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::SOON;
use super::entry::Entry;
use super::world::World;

/// The servers of a mesh.
pub(crate) struct Mesh {
    pub(crate) istiod: Istiod,
    pub(crate) polaris: Polaris,
    pub(crate) api: ApiServer,
    pub(crate) binaries: &'static MeshBinaries,
}

impl Mesh {
    /// One of a test's own: it may stop its servers, and what istiod pushes is the test's doing.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(&IstiodOptions::default()).await
    }

    /// One of a test's own, with another istiod.
    pub(crate) async fn start_with(options: &IstiodOptions) -> Option<Self> {
        let (binaries, mesh) = (binaries()?, mesh_binaries()?);
        let (api, polaris) =
            tokio::join!(ApiServer::start(binaries), Polaris::start(binaries, PolarisOptions::default()));
        api.install_all_crds(binaries).await;
        let istiod = Istiod::start(mesh, &api, options).await;
        istiod.enforce(&api).await;
        Some(Self { istiod, polaris, api, binaries: mesh })
    }

    /// The one that the tests share.
    pub(crate) async fn shared() -> Option<&'static Self> {
        static MESH: OnceCell<Option<Mesh>> = OnceCell::const_new();
        MESH.get_or_init(Self::start).await.as_ref()
    }

    /// A namespace of its own in both servers.
    pub(crate) async fn world(&self, name: &str) -> World {
        World::new(&self.api, &self.polaris, name).await
    }

    /// A sidecar.
    pub(crate) async fn envoy(&self) -> Envoy {
        Envoy::start(self.binaries, &self.istiod).await
    }

    /// Waits until an entry has an Event of this reason.
    pub(crate) async fn told(&self, namespace: &str, name: &str, reason: &str) {
        let events = ["get", "events.events.k8s.io", "--namespace", namespace, "--output=json"];
        wait_for(&format!("{name} has the Event {reason}"), SOON, || async {
            let text = self.api.kubectl(&events, "").await;
            let all: Value = serde_json::from_str(&text).unwrap();
            let of = |event: &&Value| event["regarding"]["name"] == name && event["reason"] == reason;
            if all["items"].as_array().unwrap().iter().any(|event| of(&event)) { Ok(()) } else { Err(text) }
        })
        .await;
    }

    /// A sidecar in a region and zone.
    pub(crate) async fn envoy_in(&self, region: &str, zone: &str) -> Envoy {
        let workload = Workload { locality: (region, zone), ..Workload::default() };
        Envoy::start_for(self.binaries, &self.istiod, &workload).await
    }

    /// Applies objects of any kind, as an operator does.
    pub(crate) async fn apply(&self, object: &Value) {
        self.apply_text(&object.to_string()).await;
    }

    /// Likewise, from the text of a file.
    pub(crate) async fn apply_text(&self, text: &str) {
        self.api.kubectl(&["apply", "--filename=-"], text).await;
    }
}

/// An entry with a host and a service port of its own: without iptables, a sidecar listens on that port itself.
pub(crate) struct Callable {
    pub(crate) entry: Entry,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Callable {
    /// One with an HTTP port, bound to the service of its name.
    pub(crate) fn new(world: &World, name: &str) -> Self {
        let (host, port) = (format!("dev.{name}.{}", world.namespace), free_port());
        let spec = json!({"hosts": [host], "ports": [{"name": "http", "number": port, "protocol": "HTTP"}]});
        Self { entry: world.entry(name).with(&json!({"spec": spec})), host, port }
    }
}
