//! Puts the parts together for a configuration, and runs them.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use kube::api::ApiResource;
use reqwest::header::{HeaderValue, USER_AGENT};
use tracing::{info, warn};

use crate::controller::{self, Parts, Settled};
use crate::converter::Converter;
use crate::converter::source::{Candidate, Digest, Settings, Source, SourceNews, follow};
use crate::entries::{DirectoryEntries, EntryEvents, KubernetesEntries, OutputError, Shelf, served_version};
use crate::guard::EmptyHold;
use crate::istio::{AddressRule, ServiceEntry, VERSIONS};
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
    let (events, resource, sink) = tokio::select! {
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
    if let Some(watch) = watch {
        watch.abort();
    }
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

async fn open(config: &Config) -> Result<(EntryEvents, ApiResource, Sink), RunError> {
    let namespace = config.namespace.clone();
    match &config.target {
        Target::Kubernetes => {
            let client = connect().await?;
            let resource = served_version(&client).await;
            info!(namespace, version = resource.version, "serving the ServiceEntries of a cluster");
            let events = KubernetesEntries::new(client.clone(), resource.clone(), namespace).events();
            let sink = KubernetesSink::new(client, resource.clone());
            Ok((events, resource, Sink::Kubernetes(Box::new(sink))))
        }
        Target::Directory { entries, output } => {
            let shelf = Arc::new(Shelf::new(output)?);
            info!(namespace, entries = %entries.display(), output = %output.display(), "serving the ServiceEntries of a directory");
            let events = DirectoryEntries::new(entries, Arc::clone(&shelf), namespace)?.events();
            Ok((events, ServiceEntry::resource(VERSIONS[0]), Sink::Directory(shelf)))
        }
    }
}

async fn connect() -> Result<kube::Client, RunError> {
    let mut config = kube::Config::infer().await.map_err(|error| RunError::Kubeconfig(Box::new(error)))?;
    // The library takes a proxy from the environment as well: one is used only where the kubeconfig itself names it.
    let environment = ["HTTPS_PROXY", "https_proxy"].map(std::env::var);
    if config.proxy_url.as_ref().is_some_and(|proxy| environment.iter().flatten().any(|set| *proxy == **set)) {
        config.proxy_url = None;
    }
    // So that an audit log tells us from others.
    let agent = HeaderValue::from_static(concat!("polaris2istio/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    kube::Client::try_from(config).map_err(|error| RunError::Client(Box::new(error)))
}
