//! The registry's side: what services exist, and which instances they have.
//!
//! It yields what is heard of services and knows nothing of Istio or Kubernetes. One follower serves all services:
//! subscriptions go in, a stream of reports comes out, so that other ways of following (one stream for all, a doorbell) fit
//! behind the same trait. Between the two ends stands one owner of all that was heard: a [`ServiceCache`] to read and
//! subscribe, a [`ReportQueue`] to follow with. Two kinds exist, [`PolarisRegistry`] and [`DirectoryRegistry`]; they share one
//! decoder.

mod catalogue;
mod content;
mod decode;
mod directory;
mod directory_catalogue;
mod encode;
mod error;
mod pairs;
mod polaris;
mod poll_mode;
mod poll_stats;
mod report_queue;
mod service_cache;
mod service_key;
mod service_state;
mod shares;
mod size;
mod subscriptions;
mod wire;
mod wire_instance;

use std::future::Future;
use std::sync::Arc;

pub use self::catalogue::{Catalogue, CatalogueSource, Listing, decode_listing};
pub use self::content::Content;
pub use self::decode::{Answer, Decoded, decode_answer};
pub use self::directory::{DirectoryConfig, DirectoryRegistry};
pub use self::directory_catalogue::DirectoryCatalogue;
pub use self::encode::encode_answer;
pub use self::error::RegistryError;
pub use self::polaris::{
    Address, Addresses, Ask, DoorbellConfig, DoorbellKind, GRPC_RATE, HTTP_RATE, PolarisCatalogue, PolarisConfig,
    PolarisRegistry, Question, TlsFiles, TokenSource, decode_message, decode_services_message,
};
pub use self::poll_mode::PollMode;
pub use self::poll_stats::{PollFigures, PollStats};
pub use self::report_queue::ReportQueue;
pub use self::service_cache::{ServiceCache, Subscription};
pub use self::service_key::ServiceKey;
pub use self::service_state::{LastAnswer, Report, ServiceState, Trouble};

/// A way of following a registry.
pub trait Registry: Send + 'static {
    /// Its figures, while it is followed.
    fn stats(&self) -> Arc<PollStats>;

    /// Follows the services that are subscribed to and reports what changes, until the other end is dropped, or the future.
    ///
    /// - A service gets its first report as soon as possible, under every new subscription; one that nobody subscribes to
    ///   any more is forgotten.
    /// - Content equal to the last reported, under whatever revision, is not reported again.
    /// - A failure is reported once for each kind of trouble, until the service recovers; then its last content is repeated.
    /// - A slow reader loses nothing that matters: what it has not taken yet is replaced by what is newer, service by
    ///   service.
    /// - When the term of [`PollMode`] grows, every service is asked for anew, and what it then says is reported in any case.
    fn follow(self, queue: ReportQueue) -> impl Future<Output = ()> + Send;
}

/// Either kind of registry, for a caller that decides at run time.
#[derive(Debug)]
pub enum AnyRegistry {
    /// A Polaris server.
    Polaris(PolarisRegistry),
    /// A directory of recorded answers.
    Directory(DirectoryRegistry),
}

impl Registry for AnyRegistry {
    fn stats(&self) -> Arc<PollStats> {
        match self {
            Self::Polaris(registry) => registry.stats(),
            Self::Directory(registry) => registry.stats(),
        }
    }

    async fn follow(self, queue: ReportQueue) {
        match self {
            Self::Polaris(registry) => registry.follow(queue).await,
            Self::Directory(registry) => registry.follow(queue).await,
        }
    }
}
