//! The registry's side: what services exist, and which instances they have.
//!
//! It yields news of services and knows nothing of Istio or Kubernetes. One follower serves all services: a set of wanted
//! services goes in, a stream of reports comes out, so that other ways of following (one stream for all, a doorbell) fit
//! behind the same trait. Two kinds exist, [`HttpRegistry`] and [`DirectoryRegistry`]; they share one decoder.

mod bounded;
mod decode;
mod directory;
mod error;
mod http;
mod poll_mode;
mod poll_stats;
mod report_queue;
mod service_key;
mod service_update;
mod size;
mod wire;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

pub use self::decode::{Answer, Content, decode_answer};
pub use self::directory::{DirectoryConfig, DirectoryRegistry};
pub use self::error::RegistryError;
pub use self::http::{Address, Addresses, HttpConfig, HttpRegistry, TlsFiles, TokenSource};
pub use self::poll_mode::PollMode;
pub use self::poll_stats::{PollFigures, PollStats};
pub use self::service_key::ServiceKey;
pub use self::service_update::{Confirmations, Report, ServiceUpdate};

/// The services that someone wants to hear of; each change of the set is sent as a whole.
pub type Wanted = Arc<BTreeSet<ServiceKey>>;

/// A way of following a registry.
pub trait Registry: Send + 'static {
    /// Follows the wanted services and reports what changes, until the sender of `wanted` is dropped, the receiver of
    /// `reports` is gone, or the future is dropped.
    ///
    /// - A newly wanted service gets its first report as soon as possible; one that is no longer wanted is forgotten.
    /// - Content equal to the last reported, under whatever revision, is not reported again.
    /// - [`ServiceUpdate::Failed`] comes once for each kind of trouble, until the service recovers; then its last news are repeated.
    /// - A slow receiver loses nothing that matters: what it has not taken yet is replaced by what is newer, service by
    ///   service.
    /// - When the term of `pace` grows, every service is asked for anew, and what it then says is reported in any case.
    fn follow(
        self,
        wanted: watch::Receiver<Wanted>,
        pace: watch::Receiver<PollMode>,
        reports: mpsc::Sender<Report>,
    ) -> impl Future<Output = ()> + Send;
}

/// Either kind of registry, for a caller that decides at run time.
#[derive(Debug)]
pub enum AnyRegistry {
    /// A Polaris server over HTTP.
    Http(HttpRegistry),
    /// A directory of recorded answers.
    Directory(DirectoryRegistry),
}

impl AnyRegistry {
    /// Its figures, while it is followed.
    pub fn stats(&self) -> Arc<PollStats> {
        match self {
            Self::Http(registry) => registry.stats(),
            Self::Directory(registry) => registry.stats(),
        }
    }
}

impl Registry for AnyRegistry {
    async fn follow(
        self,
        wanted: watch::Receiver<Wanted>,
        pace: watch::Receiver<PollMode>,
        reports: mpsc::Sender<Report>,
    ) {
        match self {
            Self::Http(registry) => registry.follow(wanted, pace, reports).await,
            Self::Directory(registry) => registry.follow(wanted, pace, reports).await,
        }
    }
}
