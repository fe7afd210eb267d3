//! Checking, compiling and comparing a candidate, beside the rollout: that may take minutes, in which commands are carried out
//! and a module that fails is rolled back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;
use tracing::error;

use super::Report;
use super::loader::compile;
use super::shadow::{Engine, shadow};
use crate::converter::{Identity, LoadError, LoadedModule, Parameters, aside};
use crate::source::ModuleBytes;

/// An evaluation under way. It ends when this is dropped.
pub(super) struct Evaluation {
    /// The candidate.
    pub(super) identity: Identity,
    /// The origin of its bytes.
    pub(super) origin: String,
    /// The module that it is compared with.
    pub(super) active: Arc<Identity>,
    task: JoinHandle<Evaluated>,
    _stop: Stop,
}

/// The end of an evaluation: the module with its report, or why it is none.
pub(super) type Evaluated = Result<(Arc<LoadedModule>, Report), LoadError>;

/// The two sides of a comparison.
#[derive(Clone)]
pub(super) struct Sides {
    pub(super) engine: Option<Arc<dyn Engine>>,
    pub(super) active: Arc<LoadedModule>,
    /// The approved module is lost, so that the content of the entries counts in its place.
    pub(super) lost: bool,
}

/// Ends a comparison that nobody waits for, at its next entry.
#[derive(Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Evaluation {
    /// Begins with a module that was compiled before, or with its bytes.
    pub(super) fn begin(
        sides: Sides,
        known: Option<Arc<LoadedModule>>,
        offered: ModuleBytes,
        parameters: Parameters,
    ) -> Self {
        let identity = Identity::new(offered.digest, &parameters);
        let (origin, active, stop) = (offered.origin.clone(), Arc::clone(sides.active.identity()), Stop::default());
        let stopped = stop.flag();
        let task = tokio::spawn(async move {
            let module = match known {
                Some(module) => module,
                None => compile(&sides.active, offered, parameters).await?,
            };
            let report = sides.compare(&module, stopped).await;
            Ok((module, report))
        });
        Self { identity, origin, active, task, _stop: stop }
    }

    /// Waits for its end; for ever, if there is none under way.
    pub(super) async fn ended(under_way: &mut Option<Self>) -> Evaluated {
        match under_way {
            Some(evaluation) => (&mut evaluation.task)
                .await
                .unwrap_or_else(|problem| Err(LoadError::Sandbox { detail: problem.to_string() })),
            None => std::future::pending().await,
        }
    }
}

impl Drop for Evaluation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sides {
    /// Compares a candidate with the active module or, if that is lost, with the content of the entries.
    pub(super) async fn compare(&self, candidate: &Arc<LoadedModule>, stopped: Arc<AtomicBool>) -> Report {
        let snapshots = self.engine.as_ref().map(|engine| engine.entry_snapshots()).unwrap_or_default();
        let active = (!self.lost).then(|| Arc::clone(&self.active));
        let candidate = Arc::clone(candidate);
        let runtime = tokio::runtime::Handle::current();
        let compared = aside(move || shadow(&runtime, active.as_deref(), &candidate, &snapshots, &stopped)).await;
        compared.unwrap_or_else(|problem| {
            error!("comparison failed: {problem}");
            Report { uncompared: 1, ..Report::default() }
        })
    }
}
