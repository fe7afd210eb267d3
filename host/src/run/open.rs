//! Opens what lies outside of the process: the cluster or the directories, and the shared state.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use kube::api::ApiResource;
use reqwest::header::{HeaderValue, USER_AGENT};
use tracing::info;

use super::{Config, RunError, StatePlace, Target};
use crate::dns;
use crate::entries::{DirectoryBackend, DirectoryEntries, EntryEvents, KubernetesEntries, served_version};
use crate::istio::{ServiceEntry, VERSIONS};
use crate::redact;
use crate::rollout::SharedState;
use crate::sink::{KubernetesSink, Sink};
use crate::state::{ConfigMapStore, FileStore, Keeper, Store};
use crate::writes::Gate;
use crate::writes::WriteRateLimiter;

pub(super) async fn open_state(place: &StatePlace) -> Result<Keeper<SharedState>, RunError> {
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
pub(super) struct Opened {
    pub(super) events: EntryEvents,
    pub(super) resource: ApiResource,
    pub(super) sink: Sink,
    pub(super) client: Option<kube::Client>,
    /// Keeps the names, where there is a cluster.
    pub(super) names: Option<BoxFuture<'static, ()>>,
}

pub(super) async fn open(config: &Config, gate: &Arc<Gate>) -> Result<Opened, RunError> {
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
            let backend = Arc::new(DirectoryBackend::new(entries, output, Arc::clone(gate))?);
            info!(namespace, entries = %entries.display(), output = %output.display(), "serving the ServiceEntries of a directory");
            let events = DirectoryEntries::new(entries, Arc::clone(&backend), namespace)?.events();
            let resource = ServiceEntry::resource(VERSIONS[0]);
            Ok(Opened { events, resource, sink: Sink::Directory(backend), client: None, names: None })
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
    let (events, bearers) = dns::tap(events, resource.api_version.clone());
    let gate = Arc::clone(gate);
    let options = dns::Options {
        namespace: config.namespace.clone(),
        entry: resource.clone(),
        settings: config.names.clone(),
        repair: config.repair_vip,
        may_write: Arc::new(move || gate.check(Instant::now()).is_ok()),
        rate_limiter: WriteRateLimiter::new(config.write_rate),
    };
    let keeper = dns::DnsController::new(client.clone(), options);
    (events, Some(Box::pin(keeper.run(bearers))))
}

/// A client, which says who it is where there are several of us.
pub(super) async fn connect(identity: Option<&str>) -> Result<kube::Client, RunError> {
    let mut config =
        kube::Config::infer().await.map_err(|error| RunError::Kubeconfig(redact::addresses(&error.to_string())))?;
    // The library takes a proxy from the environment as well: one is used only where the kubeconfig itself names it, by HTTP.
    let environment = ["HTTPS_PROXY", "https_proxy"].map(std::env::var);
    if config.proxy_url.as_ref().is_some_and(|proxy| environment.iter().flatten().any(|set| *proxy == **set)) {
        config.proxy_url = None;
    }
    // So that an audit log tells us from others.
    const NAME: &str = concat!("polaris2istio/", env!("CARGO_PKG_VERSION"));
    let agent = identity.and_then(|identity| HeaderValue::from_str(&format!("{NAME} ({identity})")).ok());
    let agent = agent.unwrap_or(HeaderValue::from_static(NAME));
    config.headers.push((USER_AGENT, agent));
    kube::Client::try_from(config).map_err(|error| RunError::Client(redact::addresses(&error.to_string())))
}
