//! A run under way, and how it ends.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use crate::controller::{Controller, Handle, SyncStatus};
use crate::election::LeaderElector;
use crate::observe::View;
use crate::registry::Registry;

/// A controller with all that runs beside it.
pub struct Running<R> {
    pub(super) controller: Controller<R>,
    pub(super) handle: Handle,
    pub(super) elector: Option<Arc<LeaderElector>>,
    pub(super) tasks: JoinSet<()>,
    /// Kept to the end: where nobody is elected, this process leads as long as it runs.
    pub(super) leads: watch::Sender<bool>,
    pub(super) view: View,
}

impl<R: Registry> Running<R> {
    /// All that observers read.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Stops once `shutdown` is done, or with `once` when all entries are reconciled.
    pub async fn finish(self, shutdown: impl Future<Output = ()>) -> SyncStatus {
        let Self { controller, handle, elector, mut tasks, leads, view: _ } = self;
        let status = controller.run(shutdown).await;
        tasks.shutdown().await;
        // Else a write may still be on its way, and the next leader must wait until it cannot be.
        if let Some(elector) = elector.filter(|_| handle.writes_ended()) {
            elector.release().await;
        }
        drop(leads);
        info!("stopped");
        status
    }
}
