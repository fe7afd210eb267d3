//! Where entries are written: performs one apply, and tells why it did not.

mod kubernetes;

use std::sync::Arc;

pub use kubernetes::KubernetesSink;
pub(crate) use kubernetes::classify;

use crate::entries::DirectoryBackend;
use crate::istio::ServiceEntry;
use crate::plan::{Apply, ApplyError};

/// Either kind of sink.
pub enum Sink {
    /// A Kubernetes API server.
    Kubernetes(Box<KubernetesSink>),
    /// A directory of YAML files.
    Directory(Arc<DirectoryBackend>),
}

impl Sink {
    /// Performs an apply. Returns the entry as it is after that.
    pub async fn apply(&self, apply: &Apply) -> Result<ServiceEntry, ApplyError> {
        match self {
            Self::Kubernetes(sink) => sink.apply(apply).await,
            Self::Directory(backend) => backend.apply(apply),
        }
    }

    /// Whether not all that is to be served could be read.
    pub fn is_partial(&self) -> bool {
        matches!(self, Self::Directory(backend) if backend.is_partial())
    }

    /// Finds out whether an apply would be taken, and writes nothing: an API server asks its admission webhooks as well.
    pub async fn rehearse(&self, apply: &Apply) -> Result<(), ApplyError> {
        match self {
            Self::Kubernetes(sink) => sink.rehearse(apply).await,
            // Nobody has a say in what is in a file.
            Self::Directory(_) => Ok(()),
        }
    }
}
