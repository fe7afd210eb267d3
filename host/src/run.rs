//! Puts the parts together for a configuration, and runs them.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use kube::api::ApiResource;
use reqwest::header::{HeaderValue, USER_AGENT};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::controller::{self, Parts, Settled};
use crate::converter::Converter;
use crate::converter::source::{Candidate, Digest, Settings, Source, SourceNews, follow};
use crate::entries::{DirectoryEntries, EntryEvents, KubernetesEntries, OutputError, Shelf, served_version};
use crate::guard::{Budget, EmptyHold};
use crate::istio::{AddressRule, ServiceEntry, VERSIONS};
use crate::names;
use crate::registry::AnyRegistry;
use crate::sink::{KubernetesSink, Sink};
use crate::watch_dir::DirError;

/// All that a run depends on.
pub struct Config {
    /// Where services come from.
    pub registry: AnyRegistry,
    /// Where entries are.
    pub target: Target,
    /// The namespace whose entries are served.
    pub namespace: String,
    /// The module.
    pub converter: Converter,
    /// Where the module came from; another one there is told.
    pub module: Option<(Source, Settings)>,
    /// Addresses that endpoints may have.
    pub addresses: AddressRule,
    /// How long the endpoints of an emptied service are kept.
    pub empty_hold: EmptyHold,
    /// Writes a second, of all entries together.
    pub write_rate: NonZeroU32,
    /// What is published in the cluster's DNS.
    pub names: names::Settings,
    /// Whether istiod is made to allocate again what it gave up.
    pub repair_vip: bool,
    /// Stop when every entry was looked at.
    pub once: bool,
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
}

/// Runs until `shutdown` is done, or with `once` until all is in line.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<Settled, RunError> {
    let mut shutdown = std::pin::pin!(shutdown);
    let module = config.converter.info();
    info!(module = module.name, version = module.version, from = config.converter.origin(), "conversion module loaded");
    let Opened { events, resource, sink, keeper } = tokio::select! {
        opened = open(&config) => opened?,
        () = &mut shutdown => return Ok(Settled::Done),
    };
    let watch = config
        .module
        .map(|(source, settings)| tokio::spawn(tell_of_others(source, settings, config.converter.digest())));
    let parts = Parts {
        registry: config.registry,
        events,
        resource,
        converter: Arc::new(config.converter),
        sink,
        addresses: config.addresses,
        empty_hold: config.empty_hold,
        write_rate: config.write_rate,
        once: config.once,
    };
    let settled = controller::run(parts, shutdown).await;
    watch.iter().chain(&keeper).for_each(JoinHandle::abort);
    info!("stopped");
    Ok(settled)
}

/// Says when the module's source has another one than is in use: it is taken with the next start.
async fn tell_of_others(source: Source, settings: Settings, active: Digest) {
    let mut follower = follow(source, settings);
    loop {
        match follower.next().await {
            SourceNews::Candidate(candidate) if candidate.digest == active => {}
            SourceNews::Candidate(Candidate { digest, origin, .. }) => {
                warn!(%digest, from = origin, "the module's source has another module now; restart to take it, `explain --module` shows what it does");
            }
            SourceNews::Failed(error) => warn!("{error}; the module in use goes on"),
            SourceNews::Recovered => info!("the module's source can be read again"),
        }
    }
}

/// The side of the entries.
struct Opened {
    events: EntryEvents,
    resource: ApiResource,
    sink: Sink,
    /// Keeps the names, where there is a cluster.
    keeper: Option<JoinHandle<()>>,
}

async fn open(config: &Config) -> Result<Opened, RunError> {
    let namespace = config.namespace.clone();
    match &config.target {
        Target::Kubernetes => {
            let client = connect().await?;
            let resource = served_version(&client).await;
            info!(namespace, version = resource.version, "serving the ServiceEntries of a cluster");
            let events = KubernetesEntries::new(client.clone(), resource.clone(), namespace).events();
            let (events, keeper) = keep_names(config, &client, &resource, events);
            let sink = Sink::Kubernetes(Box::new(KubernetesSink::new(client, resource.clone())));
            Ok(Opened { events, resource, sink, keeper })
        }
        Target::Directory { entries, output } => {
            let shelf = Arc::new(Shelf::new(output)?);
            info!(namespace, entries = %entries.display(), output = %output.display(), "serving the ServiceEntries of a directory");
            let events = DirectoryEntries::new(entries, Arc::clone(&shelf), namespace)?.events();
            let resource = ServiceEntry::resource(VERSIONS[0]);
            Ok(Opened { events, resource, sink: Sink::Directory(shelf), keeper: None })
        }
    }
}

/// Starts what keeps names and tells of lost virtual IPs, beside the controller and from the same watch.
fn keep_names(
    config: &Config,
    client: &kube::Client,
    resource: &ApiResource,
    events: EntryEvents,
) -> (EntryEvents, Option<JoinHandle<()>>) {
    if config.once {
        return (events, None);
    }
    let (events, bearers) = names::tap(events, resource.api_version.clone());
    let options = names::Options {
        namespace: config.namespace.clone(),
        entry: resource.clone(),
        settings: config.names.clone(),
        repair: config.repair_vip,
        may_write: Arc::new(|| true),
        budget: Budget::new(config.write_rate),
    };
    let keeper = names::Keeper::new(client.clone(), options);
    (events, Some(tokio::spawn(keeper.run(bearers))))
}

async fn connect() -> Result<kube::Client, RunError> {
    let mut config = kube::Config::infer().await.map_err(|error| RunError::Kubeconfig(Box::new(error)))?;
    // So that an audit log tells us from others.
    let agent = HeaderValue::from_static(concat!("polaris2istio/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    kube::Client::try_from(config).map_err(|error| RunError::Client(Box::new(error)))
}
