//! Puts together what changes modules, and begins with the one that `first.rs` decides on. A module that is new at its source goes
//! through a change like any other, and so does the embedded module of a new release.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::controller::{RolloutController, merged, record};
use super::first::{First, Wanted};
use super::loader::Loader;
use super::module_set::ModuleSet;
use super::{ActiveModules, Policy, Process, Request, SharedState};
use crate::converter::{Limits, LoadError, LoadedModule, Parameters, ParametersFile};
use crate::source::{Cache, ModuleBytes, ModuleSource, SourceError};
use crate::state::{Keeper, StateError};

/// The settings of a change of modules.
#[derive(Clone)]
pub struct Setup {
    /// The source of modules.
    pub source: Arc<dyn ModuleSource>,
    /// The directory that keeps modules over a restart.
    pub cache: Option<PathBuf>,
    /// The largest module that is taken from there, in bytes.
    pub size_limit: u64,
    /// Loads a module, by [`LoadedModule::new`] if it is a component.
    pub load: fn(&ModuleBytes, Limits, Parameters) -> Result<LoadedModule, LoadError>,
    /// The limits of a call.
    pub limits: Limits,
    /// Parameters given by flags.
    pub parameters: Parameters,
    /// A followed file with more of them.
    pub parameters_file: Option<PathBuf>,
    /// The rules for changing modules.
    pub policy: Policy,
}

/// The reasons why there is no module to begin with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The source has none.
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Parameters cannot be read.
    #[error("{0}")]
    Parameters(String),
    /// The cache cannot be used.
    #[error("module cache {path}: {source}; give --module-cache a directory that this process can write")]
    Cache { path: PathBuf, source: std::io::Error },
    /// The shared state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Setup {
    /// Decides which module is in use. Returns the modules, and the controller that changes them.
    ///
    /// # Errors
    ///
    /// Neither the module that was in use nor the configured one can be found: then nothing can be written.
    pub async fn open(
        self,
        keeper: Arc<Keeper<SharedState>>,
        process: Process,
        leads: watch::Receiver<bool>,
        requests: mpsc::Receiver<Request>,
    ) -> Result<(Arc<ActiveModules>, RolloutController), StartError> {
        let cache = match &self.cache {
            Some(path) => Some(Cache::open(path).map_err(|source| StartError::Cache { path: path.clone(), source })?),
            None => None,
        };
        let loader = Loader { keeper: Arc::clone(&keeper), cache, size_limit: self.size_limit, process };
        let file = match &self.parameters_file {
            Some(path) => Some(ParametersFile::read(path).await.map_err(StartError::Parameters)?),
            None => None,
        };
        let parameters = merged(&self.parameters, file.as_ref());
        let wanted = self.wanted(parameters.clone()).await;
        let First { module: active, lost, deadly } = self.first(&loader, wanted).await?;
        let state = keeper.document().borrow().module.clone();
        if !lost {
            let (module, ModuleBytes { digest, bytes, .. }) =
                (record(&active, Timestamp::now()), active.bytes().clone());
            let carry = keeper.update_patiently(|state, blobs| {
                if state.module.active.is_none() {
                    state.module.install(module.clone());
                }
                blobs.insert(digest, bytes.clone());
            });
            carry.await?;
        }
        loader.keep(&active);
        let modules = Arc::new(ActiveModules::new(Arc::clone(&active), self.policy.most_failures));
        if let Some(canary) = state.canary.filter(|_| !lost)
            && loader.ended_by(&canary.module.identity) == 0
            && let Some(module) = loader.load(&canary.module.identity, &active).await
        {
            // Its entries must not go back and forth over a restart.
            modules.install(ModuleSet { canary: Some((module, canary.share)), ..ModuleSet::of(active) });
        }
        let source = self.source.follow();
        let file = self.parameters_file.map(|path| ParametersFile::follow(&path));
        let controller = RolloutController::new(
            Arc::clone(&modules),
            loader,
            source,
            self.parameters,
            file,
            self.policy,
            lost,
            deadly,
            leads,
            requests,
        );
        Ok((modules, controller))
    }

    async fn wanted(&self, parameters: Parameters) -> Result<Wanted, SourceError> {
        Ok(Wanted { bytes: self.source.fetch().await?, parameters })
    }
}
