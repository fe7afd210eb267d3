//! Opens what is shared with other processes: the cluster or the directories, the shared state, and the modules.

use std::sync::Arc;

use futures::future::BoxFuture;
use kube::api::ApiResource;
use tokio::sync::{mpsc, watch};
use tracing::info;

use super::connect::client;
use super::{Config, RunError, StatePlace, Target};
use crate::clock;
use crate::dns;
use crate::election::LeaderElector;
use crate::entries::{DirectoryBackend, DirectoryEntries, EntryEvents, KubernetesEntries, served_version};
use crate::istio::{ServiceEntry, VERSIONS};
use crate::policy::{self, Importer, Place, PolicyReports};
use crate::registry::CatalogueSource;
use crate::rollout::{ActiveModules, Process, Request, RolloutController, SharedState};
use crate::sink::{KubernetesSink, Sink};
use crate::state::{ConfigMapStore, FileStore, Keeper, Store};
use crate::writes::{BlockReason, Gate, WriteRateLimiter};

/// Commands that may wait for the rollout.
const COMMANDS: usize = 8;

/// All that a run shares with other processes.
pub(super) struct Opened {
    pub(super) gate: Arc<Gate>,
    pub(super) leadership: Leadership,
    pub(super) keeper: Arc<Keeper<SharedState>>,
    pub(super) backend: Backend,
    pub(super) modules: Arc<ActiveModules>,
    pub(super) rollout: RolloutController,
    /// Commands to the rollout.
    pub(super) commands: mpsc::Sender<Request>,
    /// How this process is told from others.
    pub(super) process: Process,
}

/// Which of several replicas writes.
pub(super) struct Leadership {
    /// `None` if this process writes in any case.
    pub(super) elector: Option<Arc<LeaderElector>>,
    pub(super) leads: watch::Sender<bool>,
    pub(super) led: watch::Receiver<bool>,
}

/// Where entries are read and written.
pub(super) struct Backend {
    pub(super) events: EntryEvents,
    pub(super) resource: ApiResource,
    pub(super) sink: Sink,
    pub(super) client: Option<kube::Client>,
    /// Keeps the names, if there is a cluster.
    pub(super) names: Option<BoxFuture<'static, ()>>,
    /// Carries policies out, where there are any, and what became of them.
    pub(super) policies: Option<(Importer, Arc<PolicyReports>)>,
}

/// Opens all; it may wait long for a cluster.
pub(super) async fn open<R>(config: &mut Config<R>) -> Result<Opened, RunError> {
    let gate = Arc::new(Gate::default());
    if config.dry_run {
        gate.block(BlockReason::DryRun);
    }
    let leadership = open_leadership(config, &gate).await?;
    let policies = config.policies.take();
    let backend = open_backend(config, &gate, policies).await?;
    // What others share is not for a dry run to change; it begins with the modules of its own flags.
    let place = if config.dry_run { &StatePlace::Nowhere } else { &config.state };
    let keeper = Arc::new(open_state(config, place).await?);
    let (commands, requests) = mpsc::channel(COMMANDS);
    let setup = config.modules.clone();
    let process = Process::here(config.election.as_ref().map(|election| &*election.identity));
    let opened = setup.open(Arc::clone(&keeper), process.clone(), leadership.led.clone(), requests);
    let (modules, rollout) = opened.await?;
    let active = modules.active();
    let module = active.info();
    info!(
        module = %active.identity(), name = module.name, version = module.version, from = active.origin(),
        "conversion module loaded"
    );
    Ok(Opened { gate, leadership, keeper, backend, modules, rollout, commands, process })
}

async fn open_leadership<R>(config: &Config<R>, gate: &Arc<Gate>) -> Result<Leadership, RunError> {
    let (leads, led) = watch::channel(true);
    let elector = match &config.election {
        Some(election) => {
            let client = client(config, Some(&election.identity)).await?;
            Some(Arc::new(LeaderElector::new(client, election.clone(), Arc::clone(gate), leads.clone())))
        }
        None => None,
    };
    Ok(Leadership { elector, leads, led })
}

async fn open_state<R>(config: &Config<R>, place: &StatePlace) -> Result<Keeper<SharedState>, RunError> {
    let store = match place {
        StatePlace::Nowhere => Store::Memory,
        StatePlace::File(path) => Store::File(FileStore::new(path)),
        StatePlace::ConfigMap { namespace, name } => {
            Store::ConfigMap(Box::new(ConfigMapStore::new(client(config, None).await?, namespace, name)))
        }
    };
    Ok(if config.once { Keeper::open_once(store).await? } else { Keeper::open(store).await? })
}

async fn open_backend<R>(
    config: &Config<R>,
    gate: &Arc<Gate>,
    policies: Option<Box<dyn CatalogueSource>>,
) -> Result<Backend, RunError> {
    let namespace = config.namespace.clone();
    match &config.target {
        Target::Kubernetes => {
            let client = client(config, config.election.as_ref().map(|election| &*election.identity)).await?;
            let resource = served_version(&client).await;
            info!(namespace, version = resource.version, "serving the ServiceEntries of a cluster");
            let events = KubernetesEntries::new(client.clone(), resource.clone(), namespace).events();
            let (events, names) = keep_names(config, gate, &client, &resource, events);
            let policies = policies.map(|source| {
                let cluster = policy::Cluster::new(client.clone(), config.namespace.clone(), resource.clone());
                carry_out(config, gate, Place::Cluster(cluster), source)
            });
            let sink = Sink::Kubernetes(Box::new(KubernetesSink::new(client.clone(), resource.clone())));
            Ok(Backend { events, resource, sink, client: Some(client), names, policies })
        }
        Target::Directory { entries, output } => {
            let backend = Arc::new(DirectoryBackend::new(entries, output, Arc::clone(gate))?);
            info!(namespace, entries = %entries.display(), output = %output.display(), "serving the ServiceEntries of a directory");
            let follower = DirectoryEntries::new(entries, Arc::clone(&backend), namespace.clone(), policies.is_some())?;
            let (events, resource) = (follower.events(), ServiceEntry::resource(VERSIONS[0]));
            let policies = match policies {
                Some(source) => {
                    let directory = policy::Directory::new(entries, Arc::clone(&backend), namespace)?;
                    Some(carry_out(config, gate, Place::Directory(directory), source))
                }
                None => None,
            };
            Ok(Backend { events, resource, sink: Sink::Directory(backend), client: None, names: None, policies })
        }
    }
}

/// Makes what carries policies out, beside the controller.
fn carry_out<R>(
    config: &Config<R>,
    gate: &Arc<Gate>,
    place: Place,
    source: Box<dyn CatalogueSource>,
) -> (Importer, Arc<PolicyReports>) {
    let reports = Arc::new(PolicyReports::default());
    let options = policy::Options {
        namespace: config.namespace.clone(),
        source,
        gate: Arc::clone(gate),
        fleet_limit: config.guard.fleet_limit,
        write_rate: config.write_rate,
        swap_rate: config.swap_rate,
        reports: Arc::clone(&reports),
    };
    (Importer::new(place, options), reports)
}

/// Makes what keeps names and tells of lost virtual IPs, beside the controller and from the same watch.
fn keep_names<R>(
    config: &Config<R>,
    gate: &Arc<Gate>,
    client: &kube::Client,
    resource: &ApiResource,
    events: EntryEvents,
) -> (EntryEvents, Option<BoxFuture<'static, ()>>) {
    if config.once {
        return (events, None);
    }
    let (events, bearers) = dns::tap(events, resource.api_version.clone());
    let gate = Arc::clone(gate);
    let options = dns::Options {
        namespace: config.namespace.clone(),
        entry: resource.clone(),
        settings: config.names.clone(),
        repair: config.repair_vip,
        may_write: Arc::new(move || gate.check(clock::now()).is_ok()),
        rate_limiter: WriteRateLimiter::new(config.write_rate),
    };
    let keeper = dns::DnsController::new(client.clone(), options);
    (events, Some(Box::pin(keeper.run(bearers))))
}
