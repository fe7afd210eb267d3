//! What can go wrong between the replicas and their servers.

use std::sync::Arc;
use std::time::Duration;

use polaris2istio::registry::{RegistryError, ServiceKey};
use tokio::sync::watch;

use crate::journal::Place;

/// A fault of the registry, while it lasts. The number is the share of the questions that it meets, in a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegistryFault {
    /// It takes so many milliseconds longer each way, at most.
    Slow(u64),
    Hangs(u64),
    Limits(u64),
    Fails(u64),
    Drops(u64),
    Denies(u64),
    /// The answer is cut off in the middle.
    Cuts(u64),
    /// Answers are so many milliseconds old, at most, so that an old one comes after a new one.
    Old(u64),
    /// No connection comes about.
    Down,
}

impl RegistryFault {
    pub(crate) fn share(self) -> u64 {
        match self {
            Self::Slow(_) | Self::Old(_) => 0,
            Self::Hangs(share)
            | Self::Limits(share)
            | Self::Fails(share)
            | Self::Drops(share)
            | Self::Cuts(share)
            | Self::Denies(share) => share,
            Self::Down => 100,
        }
    }

    /// What comes of it in the place of the registry's answer.
    pub(crate) async fn error(self, service: ServiceKey, address: String) -> RegistryError {
        let (origin, info) = (address.clone(), String::from("in the simulation"));
        match self {
            Self::Hangs(_) | Self::Slow(_) | Self::Old(_) => std::future::pending().await,
            Self::Limits(_) => RegistryError::Limited { origin, code: 429, info, wait: None },
            Self::Fails(_) => RegistryError::Server { origin, code: 500_000, info },
            Self::Drops(_) | Self::Cuts(_) => RegistryError::Dropped { service, address, problem: info },
            Self::Denies(_) => RegistryError::Denied { origin, code: 401, info },
            Self::Down => RegistryError::Unreachable { address, problem: info },
        }
    }
}

/// A fault of the API server, while it lasts. The number is the share of the requests that it meets, in a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiFault {
    /// It takes so many milliseconds longer, at most.
    Slow(u64),
    /// It answers with this code, and does nothing.
    Answers(u16, u64),
    /// It does what it is asked, and never says so.
    ForgetsToAnswer(u64),
    /// A webhook refuses all writes of entries.
    Refuses,
    /// Watches tell so many milliseconds late.
    WatchesLate(u64),
    /// Watches tell nothing, and do not end.
    WatchesSilent,
    /// Every watch that is to be resumed has expired.
    WatchesExpire,
}

/// The line between a replica and all servers.
#[derive(Clone)]
pub(crate) struct Line(Arc<watch::Sender<bool>>);

impl Default for Line {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }
}

impl Line {
    pub(crate) fn set(&self, whole: bool) {
        self.0.send_replace(whole);
    }

    pub(crate) fn is_whole(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is whole; a caller gives up by itself.
    pub(crate) async fn whole(&self) {
        let mut whole = self.0.subscribe();
        if whole.wait_for(|whole| *whole).await.is_err() {
            std::future::pending().await
        }
    }
}

/// What a writer that is none of ours puts into an entry.
pub(crate) fn stranger() -> Place {
    ("192.0.2.1".into(), 1)
}

/// How long a connection lasts over which nothing comes.
pub(crate) const CONNECTION: Duration = Duration::from_secs(25);
