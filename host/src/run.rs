//! Puts the parts together for a configuration, and runs them.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use kube::api::ApiResource;
use reqwest::header::{HeaderValue, USER_AGENT};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::control::{Router, Socket, SocketError};
use crate::controller::{Controller, Handle, Parts, Settled};
use crate::converter::swap::{Engine, Setup, StartError, Subject, Subjects};
use crate::election::{Campaign, Duties, ElectionConfig};
use crate::entries::{DirectoryEntries, EntryEvents, KubernetesEntries, OutputError, Shelf, served_version};
use crate::gate::{Gate, Shut};
use crate::guard::{Budget, Holds, Settings as GuardSettings};
use crate::istio::{AddressRule, ServiceEntry, VERSIONS};
use crate::names;
use crate::observe::{Events, HttpError, HttpServer, Metrics, Observers, View};
use crate::registry::AnyRegistry;
use crate::sink::{KubernetesSink, Sink};
use crate::state::{ConfigMapStore, FileStore, Keeper, StateError, Store};
use crate::watch_dir::DirError;

/// All that a run depends on.
pub struct Config {
    /// Where services come from.
    pub registry: AnyRegistry,
    /// Where entries are.
    pub target: Target,
    /// The namespace whose entries are served.
    pub namespace: String,
    /// The modules.
    pub modules: Setup,
    /// Entries a second that another module may change.
    pub swap_rate: NonZeroU32,
    /// Where what outlives this process is kept.
    pub state: StatePlace,
    /// Where commands are taken.
    pub socket: Option<PathBuf>,
    /// Where metrics, probes and the status are served.
    pub http: HttpPlace,
    /// Give every entry metrics of its own.
    pub metrics_per_entry: bool,
    /// After how long without an answer the registry counts as silent; none where it answers only with news.
    pub silent_after: Option<Duration>,
    /// How one of several replicas is found that writes; none where this process writes in any case.
    pub election: Option<ElectionConfig>,
    /// Addresses that endpoints may have.
    pub addresses: AddressRule,
    /// How long and how much the guard holds back.
    pub guard: GuardSettings,
    /// Writes a second, of all entries together.
    pub write_rate: NonZeroU32,
    /// What is published in the cluster's DNS.
    pub names: names::Settings,
    /// Whether istiod is made to allocate again what it gave up.
    pub repair_vip: bool,
    /// Stop when every entry was looked at.
    pub once: bool,
    /// Show what would be written, and write nothing.
    pub dry_run: bool,
}

/// Where metrics, probes and the status are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpPlace {
    /// Nowhere.
    Nowhere,
    /// At the usual port, if that is free.
    Usual,
    /// Here, or there is no run.
    At(SocketAddr),
}

/// Where entries are read and written.
pub enum Target {
    /// The cluster of the kubeconfig's current context, or the one that this pod runs in.
    Kubernetes,
    /// Two directories.
    Directory {
        /// The operator's files.
        entries: PathBuf,
        /// Our results.
        output: PathBuf,
    },
}

/// Where shared state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatePlace {
    /// Nowhere: every start begins anew.
    Nowhere,
    /// In a file.
    File(PathBuf),
    /// In a ConfigMap.
    ConfigMap {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no usable kubeconfig.
    #[error(
        "no access to a Kubernetes cluster: {0}; set KUBECONFIG, or run in a pod with a ServiceAccount, or give --entries and --output"
    )]
    Kubeconfig(#[source] Box<kube::config::InferConfigError>),
    /// The client cannot be made of it.
    #[error("no Kubernetes client: {0}; check certificates and addresses in the kubeconfig")]
    Client(#[source] Box<kube::Error>),
    /// The entries' directory cannot be used.
    #[error("entries: {0}")]
    Entries(#[from] DirError),
    /// The output directory cannot be used.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// There is no module to begin with.
    #[error(transparent)]
    Module(#[from] StartError),
    /// Shared state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Commands cannot be taken.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Nothing can be served over HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// Runs until `shutdown` is done, or with `once` until all is in line.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<Settled, RunError> {
    let mut shutdown = std::pin::pin!(shutdown);
    let socket = match &config.socket {
        Some(path) => Some(Socket::bind(path).await?),
        None => None,
    };
    let http = match config.http {
        HttpPlace::Nowhere => None,
        HttpPlace::Usual => HttpServer::bind_usual().await,
        HttpPlace::At(address) => Some(HttpServer::bind(address).await?),
    };
    let mut tasks = JoinSet::new();
    // At once: a process that waits for its state is alive.
    let opener = http.map(|http| {
        let opener = http.opener();
        tasks.spawn(http.serve());
        opener
    });
    let gate = Arc::new(Gate::default());
    if config.dry_run {
        gate.shut(Shut::DryRun);
    }
    let (leads, follows) = watch::channel(true);
    let (commands, requests) = mpsc::channel(8);
    let campaign = match &config.election {
        Some(election) => {
            let client = connect(Some(&election.identity)).await?;
            Some(Arc::new(Campaign::new(client, election.clone(), Arc::clone(&gate), leads.clone())))
        }
        None => None,
    };
    let start = async {
        let opened = open(&config, &gate).await?;
        let keeper = Arc::new(open_state(&config.state).await?);
        Ok::<_, RunError>((keeper, opened))
    };
    let (keeper, Opened { events, resource, sink, client, names }) = tokio::select! {
        started = start => started?,
        () = &mut shutdown => return Ok(Settled::Done),
    };
    let (live, swapper) = config.modules.open(Arc::clone(&keeper), follows.clone(), requests).await?;
    let active = live.active();
    let info = active.info();
    info!(module = %active.identity(), name = info.name, version = info.version, from = active.origin(), "conversion module loaded");
    let holds = Arc::new(Holds::new(config.guard.fleet_limit));
    let told = client.map(|client| {
        let identity = config.election.as_ref().map_or("polaris2istio", |election| &election.identity);
        let (events, publish) = Events::new(client, identity, &resource.api_version);
        tasks.spawn(publish);
        events
    });
    let metrics = Arc::new(Metrics::default());
    let tally = config.registry.tally();
    let controller = Controller::new(Parts {
        registry: config.registry,
        events,
        resource,
        converter: Arc::clone(&live),
        sink,
        gate: Arc::clone(&gate),
        addresses: config.addresses,
        guard: config.guard,
        holds: Arc::clone(&holds),
        write_rate: config.write_rate,
        swap_rate: config.swap_rate,
        once: config.once,
        observers: Observers { metrics: Arc::clone(&metrics), events: told.unwrap_or_default() },
    });
    let handle = controller.handle();
    let engine =
        Arc::new(EngineHandle { controller: handle.clone(), gate: Arc::clone(&gate), holds: Arc::clone(&holds) });
    let view = View {
        controller: handle.clone(),
        tally,
        holds: Arc::clone(&holds),
        silent_after: config.silent_after,
        gate: Arc::clone(&gate),
        leads: follows.clone(),
        election: campaign.as_ref().map(|campaign| (campaign.holder(), campaign.identity().to_owned())),
        state: keeper.state(),
        modules: live,
    };
    if let Some(opener) = opener {
        opener.open(view.clone(), &metrics, config.metrics_per_entry);
    }
    let router = Arc::new(Router::new(Arc::clone(&keeper), follows, commands, holds, view));
    if let Some(campaign) = campaign.clone() {
        handle.stand_by();
        let duties = handle.clone();
        tasks.spawn(async move { campaign.run(&duties).await });
    }
    tasks.spawn(swapper.run(engine));
    if let Some(names) = names {
        tasks.spawn(names);
    }
    tasks.spawn(pause(Arc::clone(&keeper), gate));
    tasks.spawn(async move { keeper.follow().await });
    if let Some(socket) = socket {
        tasks.spawn(socket.serve(Arc::clone(&router)));
    }
    tasks.spawn(async move { router.serve_others().await });
    let settled = controller.run(shutdown).await;
    tasks.shutdown().await;
    // Else a write may still be on its way, and the next one must wait until it cannot be.
    if let Some(campaign) = campaign.filter(|_| handle.writes_ended()) {
        campaign.release().await;
    }
    drop(leads);
    info!("stopped");
    Ok(settled)
}

impl Duties for Handle {
    fn lead(&self) {
        Handle::lead(self);
    }

    fn stand_by(&self) {
        Handle::stand_by(self);
    }
}

/// What a change of modules sees of the controller.
struct EngineHandle {
    controller: Handle,
    gate: Arc<Gate>,
    holds: Arc<Holds>,
}

impl Engine for EngineHandle {
    fn subjects(&self) -> Subjects {
        let snapshot = self.controller.snapshot();
        let known = snapshot.entries.into_iter().map(|(live, service)| Subject { live, service }).collect();
        Subjects { known, unknown: snapshot.unknown, addresses: self.controller.addresses().clone() }
    }

    fn look_again(&self) {
        self.controller.look_again();
    }

    fn promoted(&self) {
        self.holds.accept_module();
    }

    fn module_missing(&self, missing: bool) {
        if missing { self.gate.shut(Shut::ModuleMissing) } else { self.gate.lift(Shut::ModuleMissing) }
    }
}

/// Stops all writes while the shared state says so.
async fn pause(keeper: Arc<Keeper>, gate: Arc<Gate>) {
    let mut state = keeper.state();
    loop {
        let paused = state.borrow_and_update().paused.clone();
        match &paused {
            Some(paused) => {
                warn!(since = %paused.since, reason = paused.reason, "all writes are paused; `polaris2istio resume` lets them go");
                gate.shut(Shut::Paused);
            }
            None => gate.lift(Shut::Paused),
        }
        if state.wait_for(|state| state.paused != paused).await.is_err() {
            return;
        }
    }
}

/// Reads shared state.
async fn open_state(place: &StatePlace) -> Result<Keeper, RunError> {
    let store = match place {
        StatePlace::Nowhere => Store::Memory,
        StatePlace::File(path) => Store::File(FileStore::new(path)),
        StatePlace::ConfigMap { namespace, name } => {
            Store::ConfigMap(Box::new(ConfigMapStore::new(connect(None).await?, namespace, name)))
        }
    };
    Ok(Keeper::open(store).await?)
}

/// The side of the entries.
struct Opened {
    events: EntryEvents,
    resource: ApiResource,
    sink: Sink,
    client: Option<kube::Client>,
    /// Keeps the names, where there is a cluster.
    names: Option<BoxFuture<'static, ()>>,
}

async fn open(config: &Config, gate: &Arc<Gate>) -> Result<Opened, RunError> {
    let namespace = config.namespace.clone();
    match &config.target {
        Target::Kubernetes => {
            let client = connect(config.election.as_ref().map(|election| &*election.identity)).await?;
            let resource = served_version(&client).await;
            info!(namespace, version = resource.version, "serving the ServiceEntries of a cluster");
            let events = KubernetesEntries::new(client.clone(), resource.clone(), namespace).events();
            let (events, names) = keep_names(config, gate, &client, &resource, events);
            let sink = Sink::Kubernetes(Box::new(KubernetesSink::new(client.clone(), resource.clone())));
            Ok(Opened { events, resource, sink, client: Some(client), names })
        }
        Target::Directory { entries, output } => {
            let shelf = Arc::new(Shelf::new(output, Arc::clone(gate))?);
            info!(namespace, entries = %entries.display(), output = %output.display(), "serving the ServiceEntries of a directory");
            let events = DirectoryEntries::new(entries, Arc::clone(&shelf), namespace)?.events();
            let resource = ServiceEntry::resource(VERSIONS[0]);
            Ok(Opened { events, resource, sink: Sink::Directory(shelf), client: None, names: None })
        }
    }
}

/// Starts what keeps names and tells of lost virtual IPs, beside the controller and from the same watch.
fn keep_names(
    config: &Config,
    gate: &Arc<Gate>,
    client: &kube::Client,
    resource: &ApiResource,
    events: EntryEvents,
) -> (EntryEvents, Option<BoxFuture<'static, ()>>) {
    if config.once {
        return (events, None);
    }
    let (events, bearers) = names::tap(events, resource.api_version.clone());
    let gate = Arc::clone(gate);
    let options = names::Options {
        namespace: config.namespace.clone(),
        entry: resource.clone(),
        settings: config.names.clone(),
        repair: config.repair_vip,
        may_write: Arc::new(move || gate.check(Instant::now()).is_ok()),
        budget: Budget::new(config.write_rate),
    };
    let keeper = names::Keeper::new(client.clone(), options);
    (events, Some(Box::pin(keeper.run(bearers))))
}

/// A client, which says who it is where there are several of us.
async fn connect(identity: Option<&str>) -> Result<kube::Client, RunError> {
    let mut config = kube::Config::infer().await.map_err(|error| RunError::Kubeconfig(Box::new(error)))?;
    // The library takes a proxy from the environment as well: one is used only where the kubeconfig itself names it.
    let environment = ["HTTPS_PROXY", "https_proxy"].map(std::env::var);
    if config.proxy_url.as_ref().is_some_and(|proxy| environment.iter().flatten().any(|set| *proxy == **set)) {
        config.proxy_url = None;
    }
    // So that an audit log tells us from others.
    const NAME: &str = concat!("polaris2istio/", env!("CARGO_PKG_VERSION"));
    let agent = identity.and_then(|identity| HeaderValue::from_str(&format!("{NAME} ({identity})")).ok());
    let agent = agent.unwrap_or(HeaderValue::from_static(NAME));
    config.headers.push((USER_AGENT, agent));
    kube::Client::try_from(config).map_err(|error| RunError::Client(Box::new(error)))
}
