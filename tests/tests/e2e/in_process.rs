//! The controller inside the test's own process, for what others in its process may tell it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use polaris2istio::controller::{Controller, Parts};
use polaris2istio::converter::{Limits, LoadedModule};
use polaris2istio::entries::{KubernetesEntries, served_version};
use polaris2istio::guard::{Holds, Settings};
use polaris2istio::registry::{HttpConfig, HttpRegistry};
use polaris2istio::rollout::ActiveModules;
use polaris2istio::sink::{KubernetesSink, Sink};
use polaris2istio::source::ModuleBytes;
use polaris2istio::writes::Gate;

use super::world::World;

/// A controller for a world's namespace. It ends with the value.
pub(crate) struct InProcess {
    pub(crate) gate: Arc<Gate>,
    pub(crate) holds: Arc<Holds>,
    run: tokio::task::JoinHandle<()>,
}

impl InProcess {
    /// With the embedded module, the flags' defaults and quick polls.
    pub(crate) async fn start(world: &World) -> Self {
        Self::start_with(world, &ModuleBytes::embedded(), &[]).await
    }

    /// With another module, and parameters for it.
    pub(crate) async fn start_with(world: &World, module: &ModuleBytes, parameters: &[(&str, &str)]) -> Self {
        let parameters = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let client = world.entries.clone().into_client();
        let resource = served_version(&client).await;
        let (gate, holds) = (Arc::new(Gate::default()), Arc::new(Holds::new("20%".parse().unwrap())));
        let interval = Duration::from_millis(100);
        let config = HttpConfig { interval, ..HttpConfig::new(world.polaris.parse().unwrap()) };
        let module = LoadedModule::new(module, Limits::default(), parameters).unwrap();
        let parts = Parts {
            registry: HttpRegistry::new(config).unwrap(),
            events: KubernetesEntries::new(client.clone(), resource.clone(), world.namespace.clone()).events(),
            resource: resource.clone(),
            converter: Arc::new(ActiveModules::new(Arc::new(module), 3)),
            sink: Sink::Kubernetes(Box::new(KubernetesSink::new(client, resource))),
            gate: Arc::clone(&gate),
            addresses: Default::default(),
            names: None,
            guard: Settings::default(),
            holds: Arc::clone(&holds),
            write_rate: NonZeroU32::MAX,
            swap_rate: NonZeroU32::MAX,
            once: false,
            observers: Default::default(),
            pulse: Default::default(),
        };
        let run = tokio::spawn(async {
            let _ = Controller::new(parts).run(std::future::pending()).await;
        });
        Self { gate, holds, run }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.run.abort();
    }
}
