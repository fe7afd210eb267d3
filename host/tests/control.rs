//! The commands of the process to a running controller: to release holds, and to pause writes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polaris2istio::controller::{Controller, Parts, SyncStatus};
use polaris2istio::converter::{Limits, LoadedModule};
use polaris2istio::entries::{DirectoryBackend, DirectoryEntries};
use polaris2istio::guard::{Holds, Kind, Settings};
use polaris2istio::istio::{ServiceEntry, VERSIONS};
use polaris2istio::registry::{DirectoryConfig, DirectoryRegistry};
use polaris2istio::rollout::ActiveModules;
use polaris2istio::sink::Sink;
use polaris2istio::source::ModuleBytes;
use polaris2istio::tasks::TaskEnded;
use polaris2istio::watch_dir::WatchOptions;
use polaris2istio::writes::{BlockReason, Gate};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// How long anything may take before a test fails; far more than it takes.
const DEADLINE: Duration = Duration::from_secs(20);
const FOUR: [u8; 4] = [1, 2, 3, 4];

/// A controller in this process, over directories, for entries with four endpoints each.
struct Mesh {
    directory: TempDir,
    gate: Arc<Gate>,
    holds: Arc<Holds>,
    run: tokio::task::JoinHandle<Result<SyncStatus, TaskEnded>>,
    stop: oneshot::Sender<()>,
}

impl Mesh {
    async fn start(services: &[&str]) -> Self {
        Self::start_shut(services, &[]).await
    }

    /// With a gate that is shut from the start.
    async fn start_shut(services: &[&str], shut: &[BlockReason]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        ["entries", "answers"].iter().for_each(|name| std::fs::create_dir(path(name)).unwrap());
        for service in services {
            std::fs::write(path(&format!("entries/{service}.yaml")), entry(service).to_string()).unwrap();
            answer(path("answers"), service, &FOUR);
        }
        let gate = Arc::new(Gate::default());
        shut.iter().for_each(|reason| gate.block(*reason));
        let holds = Arc::new(Holds::new("20%".parse().unwrap()));
        let backend = Arc::new(DirectoryBackend::new(&path("entries"), &path("out"), Arc::clone(&gate)).unwrap());
        let config = DirectoryConfig { path: path("answers"), options: WatchOptions::default() };
        let module = LoadedModule::new(&ModuleBytes::embedded(), Limits::default(), Vec::new()).unwrap();
        let parts = Parts {
            registry: DirectoryRegistry::new(config).unwrap(),
            events: DirectoryEntries::new(&path("entries"), Arc::clone(&backend), "polaris".into(), false)
                .unwrap()
                .events(),
            resource: ServiceEntry::resource(VERSIONS[0]),
            converter: Arc::new(ActiveModules::new(Arc::new(module), 3)),
            sink: Sink::Directory(backend),
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
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(Controller::new(parts).run(async {
            let _ = stopped.await;
        }));
        let mesh = Self { directory, gate, holds, run, stop };
        if shut.is_empty() {
            for service in services {
                mesh.expect(service, &FOUR).await;
            }
        }
        mesh
    }

    fn answer(&self, service: &str, hosts: &[u8]) {
        answer(self.directory.path().join("answers"), service, hosts);
    }

    fn hosts(&self, service: &str) -> Option<Vec<u8>> {
        let text = std::fs::read_to_string(self.directory.path().join(format!("out/polaris.{service}.yaml"))).ok()?;
        let object: Value = serde_saphyr::from_str(&text).unwrap();
        let endpoints = object["spec"]["endpoints"].as_array().cloned().unwrap_or_default();
        let host =
            |endpoint: &Value| endpoint["address"].as_str().unwrap().rsplit('.').next().unwrap().parse().unwrap();
        Some(endpoints.iter().map(host).collect())
    }

    #[track_caller]
    fn expect(&self, service: &str, hosts: &[u8]) -> impl Future<Output = ()> {
        wait(format!("{service} has {hosts:?}"), move || {
            let found = self.hosts(service);
            if found.as_deref() == Some(hosts) { Ok(()) } else { Err(format!("{found:?}")) }
        })
    }

    /// Waits until exactly these entries hold, for these kinds.
    #[track_caller]
    fn expect_holds(&self, wanted: &[(&str, Kind)]) -> impl Future<Output = ()> {
        let wanted: Vec<_> = wanted.iter().map(|(name, kind)| (format!("polaris/{name}"), vec![*kind])).collect();
        wait(format!("{wanted:?} hold"), move || {
            let kinds = |holds: Vec<polaris2istio::guard::Hold>| holds.iter().map(|hold| hold.kind).collect::<Vec<_>>();
            let found: Vec<_> = self.holds.list().into_iter().map(|(name, holds)| (name, kinds(holds))).collect();
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        })
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        assert_eq!(self.run.await.unwrap(), Ok(SyncStatus::Synced));
    }
}

#[track_caller]
fn wait(what: String, mut condition: impl FnMut() -> Result<(), String>) -> impl Future<Output = ()> {
    let (start, caller) = (Instant::now(), std::panic::Location::caller());
    async move {
        loop {
            match condition() {
                Ok(()) => return,
                Err(seen) if start.elapsed() > DEADLINE => panic!("{caller}: {what}: last seen: {seen}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

fn answer(directory: PathBuf, service: &str, hosts: &[u8]) {
    let instance = |host: &u8| json!({"id": format!("{host}"), "host": format!("10.0.0.{host}"), "port": 8080, "protocol": "http", "weight": 100, "healthy": true});
    let answer = json!({"code": 200000, "service": {"namespace": "default", "name": service, "revision": format!("{hosts:?}")},
                        "instances": hosts.iter().map(instance).collect::<Vec<_>>()});
    let unfinished = directory.join(format!(".{service}"));
    std::fs::write(&unfinished, answer.to_string()).unwrap();
    std::fs::rename(unfinished, directory.join(format!("{service}.json"))).unwrap();
}

fn entry(service: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": service, "namespace": "polaris", "labels": {"manager": "aeraki", "registry": "polaris"},
            "annotations": {"aeraki.net/polarisNamespace": "default", "aeraki.net/polarisService": service}},
        "spec": {"hosts": [format!("dev.{service}.polaris")], "resolution": "STATIC",
            "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}]},
    })
}

#[tokio::test]
async fn a_person_releases_an_entry_or_all() {
    let mesh = Mesh::start(&["a", "b", "c"]).await;
    assert!(!mesh.holds.release("polaris/a"), "nothing is held");
    ["a", "b", "c"].iter().for_each(|service| mesh.answer(service, &[]));
    mesh.expect_holds(&[("a", Kind::Empty), ("b", Kind::Empty), ("c", Kind::Empty)]).await;
    let hold = &mesh.holds.of("polaris/a")[0];
    assert_eq!((hold.endpoints, hold.until), (4, Some(hold.since + Duration::from_secs(300))));
    assert!(mesh.holds.release("polaris/a"));
    mesh.expect("a", &[]).await;
    mesh.expect_holds(&[("b", Kind::Empty), ("c", Kind::Empty)]).await;
    assert_eq!([mesh.hosts("b"), mesh.hosts("c")], [Some(FOUR.to_vec()), Some(FOUR.to_vec())]);
    assert_eq!(mesh.holds.release_all(), 2);
    mesh.expect("b", &[]).await;
    mesh.expect("c", &[]).await;
    mesh.expect_holds(&[]).await;
    // A release is for what is held then: what vanishes later is held as ever.
    mesh.answer("a", &[5]);
    mesh.expect("a", &[5]).await;
    mesh.answer("a", &[]);
    mesh.expect_holds(&[("a", Kind::Empty)]).await;
    assert_eq!(mesh.hosts("a"), Some(vec![5]));
    mesh.end().await;
}

#[tokio::test]
async fn a_person_ends_the_fleets_alarm() {
    let services = ["a", "b", "c", "d", "e", "f"];
    let mesh = Mesh::start(&services).await;
    services.iter().for_each(|service| mesh.answer(service, &[]));
    mesh.expect_holds(&services.map(|service| (service, Kind::Fleet))).await;
    assert_eq!(mesh.holds.alarm().map(|alarm| (alarm.followed, alarm.holding)), Some((6, 6)));
    assert_eq!(mesh.holds.release_fleet(), 6);
    for service in services {
        mesh.expect(service, &[]).await;
    }
    mesh.expect_holds(&[]).await;
    assert_eq!(mesh.holds.alarm(), None);
    mesh.end().await;
}

#[tokio::test]
async fn nothing_is_written_while_the_gate_is_shut_and_all_when_it_opens() {
    let mesh = Mesh::start_shut(&["a", "b"], &[BlockReason::Paused, BlockReason::Standby]).await;
    // It looks at entries all the same: what is held of them is known.
    mesh.gate.unblock(BlockReason::Standby);
    mesh.gate.block(BlockReason::ModuleMissing);
    mesh.gate.unblock(BlockReason::Paused);
    assert_eq!((mesh.hosts("a"), mesh.hosts("b")), (None, None));
    mesh.gate.unblock(BlockReason::ModuleMissing);
    mesh.expect("a", &FOUR).await;
    mesh.expect("b", &FOUR).await;
    // Another replica writes from now on; it shows the holds.
    mesh.gate.block(BlockReason::Standby);
    mesh.answer("a", &[]);
    mesh.answer("b", &[1, 2, 3, 4, 5]);
    // A lease of no time is none.
    mesh.gate.unblock_until(BlockReason::Standby, Instant::now());
    assert_eq!((mesh.hosts("a"), mesh.hosts("b")), (Some(FOUR.to_vec()), Some(FOUR.to_vec())));
    assert_eq!(mesh.holds.list(), []);
    mesh.gate.unblock_until(BlockReason::Standby, Instant::now() + DEADLINE * 2);
    mesh.expect("b", &[1, 2, 3, 4, 5]).await;
    mesh.expect_holds(&[("a", Kind::Empty)]).await;
    assert_eq!(mesh.hosts("a"), Some(FOUR.to_vec()));
    mesh.end().await;
}
