//! Takes away what is left in a cluster when the controller is gone: claims on fields, names in the cluster's DNS, the Lease and
//! the shared state. It needs no controller, and none may run: it would take everything back.

mod claims;
mod cluster;
mod leftover;

use std::time::Duration;

use futures::StreamExt;
use kube::api::ApiResource;
use kube::{Client, Error as KubeError};

use super::connect::connect;
use super::{Cluster, RunError};
use crate::election::{Presence, presence};
use crate::entries::ask_version;
use crate::title::title;

pub use leftover::{Leftover, Object};

/// Requests that are under way at once.
const AT_ONCE: usize = 8;
/// Rounds of looking and removing: what changed meanwhile is found by the next one.
const ROUNDS: usize = 3;
/// Between two rounds, a running controller has the time to take something back.
const BETWEEN: Duration = Duration::from_secs(1);

/// What is to become of entries that policies made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// They stay, and belong to nobody, as all others.
    Keep,
    Delete,
}

/// What is taken away, and where.
#[derive(Clone, Debug)]
pub struct Uninstall {
    pub cluster: Cluster,
    /// The namespace of the entries.
    pub namespace: String,
    /// Namespace and name of the Lease.
    pub lease: (String, String),
    /// Namespace and name of the ConfigMap with the shared state.
    pub state: (String, String),
    pub made: Made,
    /// Remove our annotations as well.
    pub strip: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub leftovers: Vec<Leftover>,
    /// What stays, and why, for the operator.
    pub remarks: Vec<String>,
    /// The replica that renews the Lease.
    pub leader: Option<String>,
}

/// Why nothing can be taken away.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(
        "{0} cannot be read: {1}; use a kubeconfig whose user may get, list, patch and delete it, an administrator's say"
    )]
    Unreadable(String, KubeError),
    #[error(
        "the Lease {lease} is that of replicas that serve the namespace {serves}, not {namespace}: give --namespace {serves}, or by --lease and --state those of {namespace}"
    )]
    OfOthers { lease: String, serves: String, namespace: String },
}

/// A connection, and what is known of the cluster.
struct Session<'a> {
    uninstall: &'a Uninstall,
    client: Client,
    /// `None` if Istio's CRD is missing.
    entry: Option<ApiResource>,
}

impl Uninstall {
    /// Looks for everything that is ours.
    pub async fn find(&self) -> Result<Found, UninstallError> {
        let session = self.connect().await?;
        let presence = session.presence().await?;
        let mut found = session.find().await?;
        found.leader = presence.and_then(|presence| presence.holder);
        Ok(found)
    }

    /// Takes it away, and looks again. Returns what could not be, with the reasons. `tell` hears of each thing that is done.
    pub async fn remove(
        &self,
        mut found: Found,
        tell: impl Fn(&Leftover),
    ) -> Result<Vec<(Leftover, String)>, UninstallError> {
        let session = self.connect().await?;
        let mut failed = Vec::new();
        for _ in 0..ROUNDS {
            failed = session.round(found.leftovers, &tell).await;
            tokio::time::sleep(BETWEEN).await;
            found = session.find().await?;
            if found.leftovers.is_empty() {
                return Ok(Vec::new());
            }
        }
        if failed.is_empty() {
            failed = found.leftovers.into_iter().map(|leftover| (leftover, BACK.into())).collect();
        }
        Ok(failed)
    }

    async fn connect(&self) -> Result<Session<'_>, UninstallError> {
        let client = connect(&self.cluster, None).await?;
        let entry =
            ask_version(&client).await.map_err(|error| UninstallError::Unreadable("the API server".into(), error))?;
        Ok(Session { uninstall: self, client, entry })
    }
}

const BACK: &str = "it came back: a controller seems to run that has another Lease, or none; stop it first";

impl Session<'_> {
    async fn presence(&self) -> Result<Option<Presence>, UninstallError> {
        let (namespace, name) = &self.uninstall.lease;
        let lease = format!("the Lease {}", title(namespace, name));
        let found = presence(&self.client, namespace, name).await;
        let found = found.map_err(|error| UninstallError::Unreadable(lease, error))?;
        let serves = found.as_ref().and_then(|presence| presence.serves.clone());
        match serves.filter(|serves| *serves != self.uninstall.namespace) {
            Some(serves) => Err(UninstallError::OfOthers {
                lease: title(namespace, name),
                serves,
                namespace: self.uninstall.namespace.clone(),
            }),
            None => Ok(found),
        }
    }

    async fn round(&self, leftovers: Vec<Leftover>, tell: impl Fn(&Leftover)) -> Vec<(Leftover, String)> {
        let mut failed = Vec::new();
        let results = futures::stream::iter(leftovers).map(|leftover| async move {
            let result = self.perform(&leftover).await;
            (leftover, result)
        });
        // In their order: the shared state and the Lease are the last ones.
        let mut results = std::pin::pin!(results.buffered(AT_ONCE));
        while let Some((leftover, result)) = results.next().await {
            match result {
                Ok(()) => tell(&leftover),
                Err(reason) => failed.push((leftover, reason)),
            }
        }
        failed
    }
}
