//! Where policies and entries are: in a cluster, or in the directories that stand in for one.

use futures::stream::BoxStream;
use kube::runtime::watcher::{self, Event};

use super::cluster::Cluster;
use super::directory::Directory;
use super::head::Head;
use super::plan::Step;
use super::policy::Policy;
use super::status::ImportStatus;
use crate::plan::ApplyError;

/// Either place.
pub enum Place {
    Cluster(Cluster),
    Directory(Directory),
}

impl Place {
    /// Follows the policies.
    pub(super) fn policies(&self) -> BoxStream<'static, watcher::Result<Event<Policy>>> {
        match self {
            Self::Cluster(cluster) => cluster.policies(),
            Self::Directory(directory) => directory.policies(),
        }
    }

    /// Follows all entries, whatever their labels.
    pub(super) fn entries(&self) -> BoxStream<'static, watcher::Result<Event<Head>>> {
        match self {
            Self::Cluster(cluster) => cluster.entries(),
            Self::Directory(directory) => directory.entries(),
        }
    }

    pub(super) async fn perform(&self, step: &Step) -> Result<(), ApplyError> {
        match self {
            Self::Cluster(cluster) => cluster.perform(step).await,
            Self::Directory(directory) => directory.perform(step),
        }
    }

    /// Writes a policy's status. A file has none: who wrote it reads the log, the page or `status`.
    pub(super) async fn tell(&self, policy: &str, status: &ImportStatus) -> Result<(), ApplyError> {
        match self {
            Self::Cluster(cluster) => cluster.tell(policy, status).await,
            Self::Directory(_) => Ok(()),
        }
    }

    /// Has a deleted policy stay until its entries are gone, or lets it go.
    pub(super) async fn keep(&self, policy: &Policy, keep: bool) -> Result<(), ApplyError> {
        match self {
            Self::Cluster(cluster) => cluster.keep(policy, keep).await,
            Self::Directory(_) => Ok(()),
        }
    }

    /// Whether the kind of policies stays: while it is being deleted, its policies go without anyone meaning them.
    pub(super) async fn has_kind(&self) -> Result<bool, ApplyError> {
        match self {
            Self::Cluster(cluster) => cluster.has_kind().await,
            Self::Directory(_) => Ok(true),
        }
    }
}
