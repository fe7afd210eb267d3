//! Directories in place of servers, and a controller over them in this process.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use polaris2istio::controller::SyncStatus;
use polaris2istio::converter::{Limits, LoadedModule};
use polaris2istio::guard::{HoldTime, Settings};
use polaris2istio::percent::Percent;
use polaris2istio::registry::{AnyRegistry, DirectoryConfig, DirectoryRegistry};
use polaris2istio::rollout::{Decision, Policy, Setup};
use polaris2istio::run::{Config, RunError, StatePlace, Target, run};
use polaris2istio::source::{self, NamedSource, Source};
use polaris2istio::watch_dir::WatchOptions;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Entries, answers, outputs, a module's file, a state file and a socket.
pub(crate) struct World(TempDir);

/// A controller in this process. It ends when this is dropped.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    run: tokio::task::JoinHandle<Result<SyncStatus, RunError>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for part in ["entries", "answers", "output", "cache"] {
            std::fs::create_dir(directory.path().join(part)).unwrap();
        }
        Self(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The file that the module comes from.
    pub(crate) fn module(&self) -> PathBuf {
        self.path("module.wasm")
    }

    /// Where the result for an entry is written.
    pub(crate) fn output(&self, name: &str) -> PathBuf {
        self.path(&format!("output/polaris.{name}.yaml"))
    }

    /// An entry that is bound to the service of its name.
    pub(crate) fn entry(&self, name: &str) {
        self.entry_with(name, "");
    }

    /// The same with more annotations, as the inside of a YAML flow mapping.
    pub(crate) fn entry_with(&self, name: &str, annotations: &str) {
        let text = format!(
            "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: {name}
  namespace: polaris
  labels: {{manager: aeraki, registry: polaris}}
  annotations: {{aeraki.net/polarisNamespace: prod, aeraki.net/polarisService: {name}{annotations}}}
spec:
  hosts: [dev.{name}.polaris]
  resolution: STATIC
"
        );
        self.write(&format!("entries/{name}.yaml"), text.as_bytes());
    }

    /// The registry's answer for the service of an entry.
    pub(crate) fn answer(&self, name: &str, behaviour: Option<&str>, hosts: &[&str]) {
        let instance = |host: &&str| json!({"id": host, "host": host, "port": 8080});
        let answer = json!({
            "code": 200_000,
            "service": {"namespace": "prod", "name": name, "revision": hosts.join(","), "metadata": behaviour.map(|value| json!({"behaviour": value}))},
            "instances": hosts.iter().map(instance).collect::<Vec<_>>(),
        });
        self.write(&format!("answers/{name}.json"), answer.to_string().as_bytes());
    }

    /// Writes a file as a careful tool does: whole, or not at all.
    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        let unfinished = path.with_file_name(format!(".{}", path.file_name().unwrap().to_str().unwrap()));
        std::fs::write(&unfinished, content).unwrap();
        std::fs::rename(unfinished, path).unwrap();
    }

    /// Starts a controller, with changes to what suits most tests.
    pub(crate) fn start(&self, change: impl FnOnce(&mut Config)) -> Running {
        let path = self.path("answers");
        let registry = DirectoryRegistry::new(DirectoryConfig { path, options: WatchOptions::default() }).unwrap();
        let mut config = Config {
            registry: AnyRegistry::Directory(registry),
            cluster: Default::default(),
            client: None,
            target: Target::Directory { entries: self.path("entries"), output: self.path("output") },
            namespace: "polaris".into(),
            modules: setup(&self.module()),
            swap_rate: NonZeroU32::MAX,
            state: StatePlace::File(self.path("state.json")),
            socket: Some(self.path("socket")),
            addresses: Default::default(),
            // Tests change all services at once.
            guard: Settings {
                empty_hold: HoldTime::Never,
                fleet_limit: "100%".parse().unwrap(),
                ..Settings::default()
            },
            dry_run: false,
            write_rate: NonZeroU32::MAX,
            names: polaris2istio::dns::Settings { mode: Default::default(), cluster_domain: "cluster.local".into() },
            repair_vip: false,
            policies: None,
            http: polaris2istio::run::HttpPlace::Nowhere,
            probes: polaris2istio::run::HttpPlace::Nowhere,
            status_token: None,
            metrics_per_entry: false,
            silent_after: None,
            election: None,
            once: false,
        };
        change(&mut config);
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            run(config, stopped).await
        });
        Running { stop, run }
    }
}

fn setup(module: &Path) -> Setup {
    Setup {
        source: Arc::new(NamedSource { source: Source::File(module.into()), settings: source::Settings::default() }),
        cache: None,
        size_limit: source::Settings::default().size_limit,
        load: LoadedModule::new,
        limits: Limits::default(),
        parameters: Vec::new(),
        parameters_file: None,
        policy: Policy {
            decision: Decision::Auto,
            most_removed: Percent::new(10),
            most_added: Percent::new(10),
            most_altered: Percent::new(10),
            canary_time: Duration::from_secs(3600),
            most_failures: 3,
            probation: Duration::from_secs(3600),
        },
    }
}

impl Running {
    /// Ends it in good order.
    pub(crate) async fn stop(self) -> SyncStatus {
        let _ = self.stop.send(());
        self.run.await.unwrap().unwrap()
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<SyncStatus, RunError> {
        self.run.await.unwrap()
    }
}
