//! Why a run could not begin, or ended by itself.

use crate::control::SocketError;
use crate::entries::OutputError;
use crate::observe::HttpError;
use crate::rollout::StartError;
use crate::state::StateError;
use crate::tasks::TaskEnded;
use crate::watch_dir::DirError;

/// Why a run could not begin, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no usable kubeconfig.
    #[error(
        "no access to a Kubernetes cluster: {0}; set KUBECONFIG, or run in a pod with a ServiceAccount, or give --entries and --output"
    )]
    Kubeconfig(String),
    /// The client cannot be made of it.
    #[error(
        "no Kubernetes client: {0}; check certificates and addresses in the kubeconfig, where `proxy-url` may be one of http:// or https://"
    )]
    Client(String),
    /// The entries' directory cannot be used.
    #[error("entries: {0}")]
    Entries(#[from] DirError),
    /// The output directory cannot be used.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// There is no module to begin with.
    #[error(transparent)]
    Module(#[from] StartError),
    /// Shared state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Commands cannot be taken.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Nothing can be served over HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A part of it ended.
    #[error(transparent)]
    Ended(#[from] TaskEnded),
}
