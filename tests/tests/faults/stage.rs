//! The stage of a row of the table: six entries with instances that stay, a controller between two gates, and the watchers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polaris2istio_tests::servers::{ApiServer, Binaries, Instance, Polaris, PolarisOptions};
use polaris2istio_tests::{try_for, wait_for};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::SOON;
use super::controller::{Controller, Start};
use super::disk::Disk;
use super::entry::addresses;
use super::gate::Gate;
use super::known::Known;
use super::sampler::Sampler;
use super::truth::{self, service_of};
use super::unwritten::Unwritten;
use super::world::World;

/// The entries, and the services of the same names: enough that the guard's rule for many at once has a say.
pub(crate) const NAMES: [&str; 6] = ["cart", "shop", "bank", "mail", "news", "auth"];

/// The one that has more instances at times.
pub(crate) const CHURNED: &str = "shop";

/// The one that gets one more when the fault is over.
pub(crate) const MARKED: &str = "cart";

/// An entry that is made when the fault is over.
pub(crate) const LATE: &str = "late";

/// Instances that each service has from the start to the end.
pub(crate) const STEADY: [&str; 2] = ["10.0.0.1", "10.0.0.2"];

/// Between two changes of instances.
const CHURN: Duration = Duration::from_millis(1_500);

/// How long recovery is waited for, whatever the bound, so that there is a figure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The table's own servers, which rows may stop.
pub(crate) struct Servers {
    pub(crate) api: ApiServer,
    pub(crate) polaris: Polaris,
    pub(crate) binaries: &'static Binaries,
}

impl Servers {
    /// Starts them.
    pub(crate) async fn start(binaries: &'static Binaries) -> Self {
        let (api, polaris) =
            tokio::join!(ApiServer::start(binaries), Polaris::start(binaries, PolarisOptions::default()));
        Self { api, polaris, binaries }
    }
}

/// All that a fault may touch.
pub(crate) struct Stage<'a> {
    pub(crate) servers: &'a mut Servers,
    pub(crate) world: World,
    /// Before Polaris.
    pub(crate) registry: Gate,
    /// Before the API server.
    pub(crate) kube: Gate,
    /// Through both gates, as installed but for quick polls.
    pub(crate) controller: Controller,
    /// Controllers beside it.
    pub(crate) others: Vec<Controller>,
    pub(crate) known: Arc<Mutex<Known>>,
    pub(crate) sampler: Sampler,
    /// The lines that its controller could not log.
    pub(crate) unwritten: Option<Unwritten>,
    /// Kept until the row is over.
    disk: Option<Disk>,
    kubeconfig: PathBuf,
    change: fn(Start) -> Start,
    churned: usize,
}

impl<'a> Stage<'a> {
    /// Sets it up: all entries are filled when it returns.
    pub(crate) async fn set(servers: &'a mut Servers, name: &str, change: fn(Start) -> Start) -> Self {
        let world = World::new(&servers.api, &servers.polaris, name).await;
        let known = Arc::<Mutex<Known>>::default();
        let instances: Vec<_> = NAMES.iter().flat_map(|name| steady(&world, name)).collect();
        world.admin.register_all(&instances).await;
        for name in NAMES {
            known.lock().unwrap().came(name, &STEADY);
            discovered(&world, name, &STEADY).await;
            world.create(&world.entry(name)).await;
        }
        let registry = Gate::before(&format!("http://{}", world.polaris), None).await;
        let (kube, kubeconfig) = before_api(&world).await;
        let controller = change(start(&world, &registry, &kubeconfig)).start();
        for name in NAMES {
            world.endpoints(name, &STEADY).await;
        }
        let sampler = Sampler::start(world.entries.clone(), Arc::clone(&known)).await;
        let others = Vec::new();
        Self {
            servers,
            world,
            registry,
            kube,
            controller,
            others,
            known,
            sampler,
            unwritten: None,
            disk: None,
            kubeconfig,
            change,
            churned: 0,
        }
    }

    /// Stops the controller in good order, and starts another in its place.
    pub(crate) async fn replace(&mut self, start: Start) {
        assert!(self.controller.stop().await.success());
        self.controller = start.start();
    }

    /// Keeps a disk until the row is over.
    pub(crate) fn keep(&mut self, disk: Disk) {
        self.disk = Some(disk);
    }

    /// Lasts so long, while nothing changes.
    pub(crate) async fn idle(&self, time: Duration) {
        sleep_until(Instant::now() + time).await;
    }

    /// A controller like the row's own, to be started.
    pub(crate) fn start(&self) -> Start {
        (self.change)(start(&self.world, &self.registry, &self.kubeconfig))
    }

    /// Lasts so long, while instances come and go.
    pub(crate) async fn hold(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let mut next = Instant::now();
        while next < end {
            self.churn().await;
            next += CHURN;
            sleep_until(next.min(end)).await;
        }
        sleep_until(end).await;
    }

    /// An instance more, or one less.
    pub(crate) async fn churn(&mut self) {
        let host = format!("10.0.9.{}", self.churned / 2);
        let instance = truth::instance(&self.world, CHURNED, &host);
        if self.churned.is_multiple_of(2) {
            self.known.lock().unwrap().came(CHURNED, &[&host]);
            self.world.admin.register(&instance).await;
        } else {
            self.known.lock().unwrap().goes(CHURNED, &host);
            self.world.admin.deregister(&instance).await;
        }
        self.world.admin.pull(&self.world.namespace).await;
        self.churned += 1;
    }

    /// An instance more, which is there when this returns, in Polaris and in the entry.
    pub(crate) async fn add(&self, service: &str, host: &str) {
        self.known.lock().unwrap().came(service, &[host]);
        self.world.admin.register(&truth::instance(&self.world, service, host)).await;
        discovered(&self.world, service, &[host]).await;
        self.world.until(host, service, |entry| addresses(entry).contains(&host)).await;
    }

    /// All instances register once more, as they do when Polaris has lost them.
    pub(crate) async fn register_again(&self) {
        let instances: Vec<_> = NAMES.iter().flat_map(|name| steady(&self.world, name)).collect();
        for name in NAMES {
            self.known.lock().unwrap().came(name, &STEADY);
        }
        self.world.admin.register_all(&instances).await;
    }

    /// The first instance of each service registers once more.
    pub(crate) async fn register_first_again(&self) {
        let first: Vec<_> = NAMES.iter().map(|name| truth::instance(&self.world, name, STEADY[0])).collect();
        self.world.admin.register_all(&first).await;
        for name in NAMES {
            discovered(&self.world, name, &STEADY[..1]).await;
        }
    }

    /// A service gets other instances in the place of those that it has: as many, in this network.
    pub(crate) async fn replace_all(&self, service: &str, network: &str) {
        let hosts = [1, 2].map(|last| format!("{network}.{last}"));
        self.known.lock().unwrap().came(service, &[&hosts[0], &hosts[1]]);
        STEADY.iter().for_each(|host| self.known.lock().unwrap().goes(service, host));
        self.world.admin.deregister_all(&steady(&self.world, service)).await;
        self.world.admin.register_all(&hosts.map(|host| truth::instance(&self.world, service, &host))).await;
        self.world.admin.pull(&self.world.namespace).await;
    }

    /// Waits until the row's controller is at a write that its gate holds. Something is to be written.
    pub(crate) async fn until_writing(&mut self) {
        self.churn().await;
        self.kube.holds().await;
    }

    /// After the fault: a new instance and a new entry, and the time until all entries are as Polaris has it.
    pub(crate) async fn recover(&mut self) -> Result<Duration, String> {
        let over = Instant::now();
        let marker = "10.0.1.1";
        self.known.lock().unwrap().came(MARKED, &[marker]);
        self.world.admin.register(&truth::instance(&self.world, MARKED, marker)).await;
        self.world.admin.pull(&self.world.namespace).await;
        let late = self.world.entry(LATE).annotated("aeraki.net/polarisService", MARKED);
        self.world.create(&late).await;
        try_for(PATIENCE, || self.in_line(marker)).await.map(|()| over.elapsed())
    }

    /// Whether each entry has what Polaris lists, the marker included.
    async fn in_line(&self, marker: &str) -> Result<(), String> {
        for name in NAMES.into_iter().chain([LATE]) {
            let service = service_of(name);
            let answer = self.world.admin.discover(&self.world.namespace, service).await;
            let entry = self.world.get(name).await.unwrap_or_default();
            let mut has = addresses(&entry);
            has.sort_unstable();
            if has != answer.hosts() || (service == MARKED && !has.contains(&marker)) {
                return Err(format!("{name} has {has:?}, Polaris lists {:?}", answer.hosts()));
            }
        }
        Ok(())
    }

    /// Waits until a controller's log says this.
    pub(crate) async fn says(controller: &Controller, words: &str) {
        wait_for(words, SOON, || async {
            if controller.said(&[words]) > 0 { Ok(()) } else { Err(controller.process.log_tail()) }
        })
        .await;
    }
}

fn steady(world: &World, service: &str) -> [Instance; 2] {
    STEADY.map(|host| truth::instance(world, service, host))
}

/// Waits until Polaris's clients see these instances.
async fn discovered(world: &World, service: &str, hosts: &[&str]) {
    world.admin.pull(&world.namespace).await;
    wait_for("Polaris lists what was registered", SOON, || async {
        let answer = world.admin.discover(&world.namespace, service).await;
        if hosts.iter().all(|host| answer.hosts().contains(host)) { Ok(()) } else { Err(answer.0) }
    })
    .await;
}

fn start(world: &World, registry: &Gate, kubeconfig: &std::path::Path) -> Start {
    let start = world.controller().kubeconfig(kubeconfig).flag("polaris-address", &registry.address());
    // Longer than any row: what a restored registry has lost stays.
    start.flag("empty-hold", "1h")
}

/// A gate before the API server, and a kubeconfig that leads through it.
pub(crate) async fn before_api(world: &World) -> (Gate, PathBuf) {
    let direct = std::fs::read_to_string(&world.release.kubeconfig).unwrap();
    let mut config: Value = serde_json::from_str(&direct).unwrap();
    let cluster = &mut config["clusters"][0]["cluster"];
    let authority = std::fs::read(cluster["certificate-authority"].as_str().unwrap()).unwrap();
    let gate = Gate::before(cluster["server"].as_str().unwrap(), Some(&authority)).await;
    *cluster = json!({"server": format!("http://{}", gate.address())});
    let path = world.release.kubeconfig.with_file_name(format!("{}.kubeconfig", world.namespace));
    std::fs::write(&path, config.to_string()).unwrap();
    (gate, path)
}
