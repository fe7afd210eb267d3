//! Which cluster is served, as kubectl is told, and a flag of the original's that means nothing.

use std::path::PathBuf;

use clap::Args;
use tracing::warn;

use crate::run::Cluster;

/// Flags of the cluster.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// A kubeconfig, in place of those of KUBECONFIG, the one in the home directory, or the pod's own account
    #[arg(
        long,
        env = "POLARIS2ISTIO_KUBECONFIG",
        value_name = "FILE",
        conflicts_with = "entries",
        help_heading = "Cluster"
    )]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use, in place of its current one
    #[arg(
        long,
        env = "POLARIS2ISTIO_CONTEXT",
        value_name = "NAME",
        conflicts_with = "entries",
        help_heading = "Cluster"
    )]
    context: Option<String>,
    /// Of the original tool, which knows one way of registering whatever is given here
    #[arg(long, hide = true)]
    mode: Option<u64>,
}

impl ClusterArgs {
    /// The cluster to connect to. As with Go's flags, an empty value is none.
    pub(super) fn cluster(&self) -> Cluster {
        if self.mode.is_some() {
            warn!(
                "--mode means nothing: there is one way of registering, by ServiceEntries, as in the original; leave it out"
            );
        }
        Cluster {
            kubeconfig: self.kubeconfig.clone().filter(|path| !path.as_os_str().is_empty()),
            context: self.context.clone().filter(|context| !context.is_empty()),
        }
    }
}
