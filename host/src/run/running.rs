//! A run under way, and how it ends.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{error, info, warn};

use super::guard_record::write_last_record;
use crate::controller::{Controller, Handle, SyncStatus};
use crate::election::LeaderElector;
use crate::observe::View;
use crate::registry::Registry;
use crate::rollout::{Process, SharedState};
use crate::state::Keeper;
use crate::tasks::{TaskEnded, Tasks};

/// A controller with all that runs beside it.
pub struct Running<R> {
    pub(super) controller: Controller<R>,
    pub(super) handle: Handle,
    pub(super) elector: Option<Arc<LeaderElector>>,
    pub(super) tasks: Tasks,
    /// Kept to the end: where nobody is elected, this process leads as long as it runs.
    pub(super) leads: watch::Sender<bool>,
    pub(super) view: View,
    pub(super) keeper: Arc<Keeper<SharedState>>,
    pub(super) process: Process,
}

impl<R: Registry> Running<R> {
    /// All that observers read.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Stops once `shutdown` is done, with `once` when all entries are reconciled, or when a part ends that was to go on.
    ///
    /// # Errors
    ///
    /// A part ended.
    pub async fn finish(self, shutdown: impl Future<Output = ()>) -> Result<SyncStatus, TaskEnded> {
        let Self { controller, handle, elector, mut tasks, leads, view, keeper, process } = self;
        let mut failed = None;
        let either = async {
            tokio::select! {
                () = shutdown => {}
                ended = tasks.ended() => failed = Some(ended),
            }
        };
        let status = controller.run(either).await;
        tasks.shutdown().await;
        // Before the lease is released: the next leader reads it.
        if *leads.borrow() {
            write_last_record(&view.holds, &keeper).await;
        }
        end_loading(&keeper, &process).await;
        // Else a write may still be on its way, and the next leader must wait until it cannot be.
        if let Some(elector) = elector.filter(|_| handle.writes_ended()) {
            elector.release().await;
        }
        drop(leads);
        match failed.map_or(status, Err) {
            Ok(status) => {
                info!("stopped");
                Ok(status)
            }
            Err(ended) => {
                error!("stopped: {ended}");
                Err(ended)
            }
        }
    }
}

/// A module that this process was loading is not to blame for its end.
async fn end_loading(keeper: &Keeper<SharedState>, process: &Process) {
    if let Err(error) = keeper.update(|state, _| state.module.end_all_loading(process)).await {
        warn!("a module that was being loaded will be taken for the reason of this end: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::num::NonZeroU32;

    use super::*;
    use crate::controller::Parts;
    use crate::converter::{Limits, LoadedModule};
    use crate::entries::{DirectoryBackend, DirectoryEntries};
    use crate::guard::{Holds, Settings};
    use crate::istio::{ServiceEntry, VERSIONS};
    use crate::registry::{PollStats, ReportQueue};
    use crate::rollout::ActiveModules;
    use crate::sink::Sink;
    use crate::source::ModuleBytes;
    use crate::state::Store;
    use crate::tasks::Pulse;
    use crate::writes::Gate;

    /// A registry that does not follow for long.
    struct Fails;

    impl Registry for Fails {
        fn stats(&self) -> Arc<PollStats> {
            Arc::default()
        }

        async fn follow(self, _: ReportQueue) {
            panic!("index out of bounds")
        }
    }

    /// A registry that has nothing to say.
    struct Silent;

    impl Registry for Silent {
        fn stats(&self) -> Arc<PollStats> {
            Arc::default()
        }

        async fn follow(self, _queue: ReportQueue) {
            pending().await
        }
    }

    async fn running<R: Registry>(registry: R, task: impl Future<Output = ()> + Send + 'static) -> Running<R> {
        let directory = tempfile::tempdir().unwrap();
        let (entries, gate) = (directory.path().join("entries"), Arc::new(Gate::default()));
        std::fs::create_dir(&entries).unwrap();
        let backend =
            Arc::new(DirectoryBackend::new(&entries, &directory.path().join("out"), Arc::clone(&gate)).unwrap());
        let module = LoadedModule::new(&ModuleBytes::embedded(), Limits::default(), Vec::new()).unwrap();
        let modules = Arc::new(ActiveModules::new(Arc::new(module), 3));
        let holds = Arc::new(Holds::new("20%".parse().unwrap()));
        let stats = registry.stats();
        let controller = Controller::new(Parts {
            registry,
            events: DirectoryEntries::new(&entries, Arc::clone(&backend), "polaris".into(), false).unwrap().events(),
            resource: ServiceEntry::resource(VERSIONS[0]),
            converter: Arc::clone(&modules),
            sink: Sink::Directory(backend),
            gate: Arc::clone(&gate),
            addresses: Default::default(),
            names: None,
            guard: Settings::default(),
            holds: Arc::clone(&holds),
            write_rate: NonZeroU32::MAX,
            swap_rate: NonZeroU32::MAX,
            once: false,
            observers: Default::default(),
            pulse: Pulse::default(),
        });
        let (handle, (leads, led)) = (controller.handle(), watch::channel(true));
        let keeper = Arc::new(Keeper::open(Store::Memory).await.unwrap());
        let state = keeper.document();
        let silent_after = None;
        let view = View {
            controller: handle.clone(),
            stats,
            silent_after,
            holds,
            gate,
            leads: led,
            election: None,
            state,
            modules,
            policies: None,
            history: Arc::default(),
        };
        let mut tasks = Tasks::new(Pulse::default());
        tasks.spawn("beside", task);
        Running { controller, handle, elector: None, tasks, leads, view, keeper, process: Process::default() }
    }

    async fn ends(registry: impl Registry, task: impl Future<Output = ()> + Send + 'static) -> String {
        running(registry, task).await.finish(pending()).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_part_that_ends_ends_the_run_with_its_reason() {
        let reason = ends(Fails, pending()).await;
        assert!(reason.starts_with("the part `registry` panicked: index out of bounds; nothing goes on"), "{reason}");
        let reason = ends(Silent, async { panic!("no such key") }).await;
        assert!(reason.starts_with("the part `beside` panicked: no such key; "), "{reason}");
        let reason = ends(Silent, async {}).await;
        assert!(reason.starts_with("the part `beside` ended; "), "{reason}");
    }
}
