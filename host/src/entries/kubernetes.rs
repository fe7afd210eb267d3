//! ServiceEntries of a Kubernetes namespace, by a true watch with a label selector.
//!
//! Lists are streamed through the watch where the API server can do that, which needs no right but `watch`; where it
//! cannot (an etcd from before 3.5.13 answers with one error event), they are listed first.

use std::time::Duration;

use futures::{StreamExt, stream};
use kube::api::{Api, ApiResource};
use kube::runtime::watcher;
use kube::{Client, Discovery};
use tokio::time::sleep;
use tracing::{info, warn};

use super::{EntryEvents, selector};
use crate::istio::{GROUP, PLURAL, ServiceEntry, VERSIONS};
use crate::kube_watch;
use crate::log_once::LogOnce;

/// Between two looks for Istio's CRD.
const CRD_RETRY: Duration = Duration::from_secs(5);

/// The ServiceEntries of one namespace.
pub struct KubernetesEntries {
    client: Client,
    resource: ApiResource,
    namespace: String,
}

impl KubernetesEntries {
    /// Entries of a namespace, in a version that the server has ([`served_version`]).
    pub fn new(client: Client, resource: ApiResource, namespace: String) -> Self {
        Self { client, resource, namespace }
    }

    pub fn events(self) -> EntryEvents {
        let start = Follower {
            source: self,
            strategy: Strategy::Streamed,
            watch: None,
            complete: false,
            log: LogOnce::default(),
        };
        stream::unfold(start, |mut follower| async move {
            let event = follower.next().await;
            Some((event, follower))
        })
        .boxed()
    }

    fn watch(&self, strategy: Strategy) -> Watch {
        let api = Api::namespaced_with(self.client.clone(), &self.namespace, &self.resource);
        kube_watch::watch(api, |config| {
            let config = config.labels(&selector());
            if strategy == Strategy::Streamed { config.streaming_lists() } else { config }
        })
    }
}

type Watch = stream::BoxStream<'static, watcher::Result<watcher::Event<ServiceEntry>>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strategy {
    Streamed,
    Listed,
}

struct Follower {
    source: KubernetesEntries,
    strategy: Strategy,
    watch: Option<Watch>,
    /// Whether a whole list has been had by this strategy.
    complete: bool,
    log: LogOnce,
}

impl Follower {
    async fn next(&mut self) -> watcher::Event<ServiceEntry> {
        loop {
            let watch = self.watch.get_or_insert_with(|| self.source.watch(self.strategy));
            match watch.next().await {
                Some(Ok(event)) => return self.take(event),
                Some(Err(error)) => self.trouble(&error),
                None => self.watch = None,
            }
        }
    }

    fn take(&mut self, event: watcher::Event<ServiceEntry>) -> watcher::Event<ServiceEntry> {
        if matches!(event, watcher::Event::InitDone) {
            self.complete = true;
        }
        if !matches!(event, watcher::Event::Init) && self.log.clear() {
            info!(namespace = self.source.namespace, "the watch on ServiceEntries works again");
        }
        event.modify(ServiceEntry::condense)
    }

    fn trouble(&mut self, error: &watcher::Error) {
        if self.strategy == Strategy::Streamed && !self.complete && cannot_stream(error) {
            info!("the API server cannot stream lists ({error}); they are listed before they are watched");
            (self.strategy, self.watch) = (Strategy::Listed, None);
            return;
        }
        let text = explain(error, &self.source.namespace);
        if self.log.is_news("watch", &text) {
            warn!("{text}");
        }
    }
}

/// Whether the server refused the way of listing, rather than being out of reach or refusing us.
fn cannot_stream(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchError(status) => matches!(status.code, 400 | 422 | 500),
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => matches!(status.code, 400 | 422),
        _ => false,
    }
}

fn explain(error: &watcher::Error, namespace: &str) -> String {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => status.code,
        watcher::Error::WatchError(status) => status.code,
        _ => 0,
    };
    match code {
        403 | 401 => format!(
            "ServiceEntries in namespace {namespace} cannot be watched: {error}; grant this identity the verbs watch and list on {PLURAL}.{GROUP} there"
        ),
        404 => format!(
            "ServiceEntries cannot be watched: {error}; the CRD {PLURAL}.{GROUP} is missing: install Istio's CRDs"
        ),
        410 => format!("the watch on ServiceEntries expired and starts anew: {error}"),
        _ => format!(
            "ServiceEntries in namespace {namespace} cannot be watched: {error}; retrying, nothing is written meanwhile that was not seen"
        ),
    }
}

/// Finds a version of ServiceEntry that the API server has, and waits for Istio's CRD where there is none.
pub async fn served_version(client: &Client) -> ApiResource {
    let mut log = LogOnce::default();
    loop {
        let missing = match ask_version(client).await {
            Ok(Some(resource)) => return resource,
            Ok(None) => format!(
                "the CRD {PLURAL}.{GROUP} is missing: install Istio's CRDs (istioctl install, or the chart istio/base)"
            ),
            Err(error) => {
                format!("the API server cannot be asked for {GROUP}: {error}; check the kubeconfig and the network")
            }
        };
        if log.is_news("CRD", &missing) {
            warn!("{missing}; waiting for it");
        }
        sleep(CRD_RETRY).await;
    }
}

/// A version of ServiceEntry that the API server has; `None` if Istio's CRD is missing.
pub async fn ask_version(client: &Client) -> Result<Option<ApiResource>, kube::Error> {
    let discovery = Discovery::new(client.clone()).filter(&[GROUP]).run().await?;
    let Some(group) = discovery.get(GROUP) else { return Ok(None) };
    let served =
        |version: &str| group.versioned_resources(version).iter().any(|(resource, _)| resource.plural == PLURAL);
    Ok(VERSIONS.into_iter().find(|version| served(version)).map(ServiceEntry::resource))
}
