//! The configuration of a run.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::dns;
use crate::election::ElectionConfig;
use crate::guard::Settings as GuardSettings;
use crate::plan::AddressRule;
use crate::registry::{AnyRegistry, CatalogueSource};
use crate::rollout::Setup;

/// All that a run depends on.
pub struct Config<R = AnyRegistry> {
    /// Where services come from.
    pub registry: R,
    pub target: Target,
    /// Which cluster the entries, the shared state and the election are in, where one is needed.
    pub cluster: Cluster,
    /// The way to it; `None` if the kubeconfig says it, or the pod.
    pub client: Option<kube::Client>,
    /// The namespace whose entries are served.
    pub namespace: String,
    pub modules: Setup,
    /// Entries a second that another module may change.
    pub swap_rate: NonZeroU32,
    /// Where state that outlives this process is kept.
    pub state: StatePlace,
    /// Where commands are taken.
    pub socket: Option<PathBuf>,
    /// Where metrics, the status and probes are served.
    pub http: HttpPlace,
    /// Where probes alone are served.
    pub probes: HttpPlace,
    /// The file with the token that the status needs; `None` if everybody may read it.
    pub status_token: Option<PathBuf>,
    /// Give every entry metrics of its own.
    pub metrics_per_entry: bool,
    /// After how long without an answer the registry counts as silent; `None` if it answers only with news.
    pub silent_after: Option<Duration>,
    /// How one of several replicas is elected that writes; `None` if this process writes in any case.
    pub election: Option<ElectionConfig>,
    /// Addresses that endpoints may have.
    pub addresses: AddressRule,
    /// How long and how much the guard holds back.
    pub guard: GuardSettings,
    /// Writes a second, of all entries together.
    pub write_rate: NonZeroU32,
    /// Names that are published in the cluster's DNS.
    pub names: dns::Settings,
    /// Where policies look for the services of a namespace; `None` if there are no policies.
    pub policies: Option<Box<dyn CatalogueSource>>,
    /// Whether istiod is made to allocate again what it gave up.
    pub repair_vip: bool,
    /// Stop when every entry was reconciled.
    pub once: bool,
    /// Show what would be written, and write nothing.
    pub dry_run: bool,
}

/// Where something is served over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpPlace {
    Nowhere,
    /// At the usual port, if that is free.
    Usual,
    /// Here, or there is no run.
    At(SocketAddr),
}

/// Where entries are read and written.
pub enum Target {
    /// The cluster of the configuration.
    Kubernetes,
    /// Two directories.
    Directory {
        /// The operator's files.
        entries: PathBuf,
        /// Our results.
        output: PathBuf,
    },
}

/// A cluster, as kubectl is told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// A file; `None` for those of the environment and the home directory, and in a pod without any the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// `None` for the current one.
    pub context: Option<String>,
}

/// Where shared state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatePlace {
    /// Nowhere: every start begins anew.
    Nowhere,
    File(PathBuf),
    ConfigMap {
        namespace: String,
        name: String,
    },
}
