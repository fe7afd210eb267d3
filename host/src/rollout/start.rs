//! Decides which module is in use from the start: the one that was in use before, if it can be found. A module that is new
//! at its source goes through a change like any other, and so does the embedded module of a new release.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

use super::controller::{RolloutController, merged, record};
use super::loader::{Loader, load_aside};
use super::module_set::ModuleSet;
use super::module_state::ModuleRecord;
use super::{ActiveModules, Policy, Request, SharedState};
use crate::converter::{Identity, Limits, LoadError, LoadedModule, Parameters, ParametersFile};
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

/// The module that the source has, with the parameters that are set for it.
struct Wanted {
    bytes: ModuleBytes,
    parameters: Parameters,
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
        leads: watch::Receiver<bool>,
        requests: mpsc::Receiver<Request>,
    ) -> Result<(Arc<ActiveModules>, RolloutController), StartError> {
        let cache = match &self.cache {
            Some(path) => Some(Cache::open(path).map_err(|source| StartError::Cache { path: path.clone(), source })?),
            None => None,
        };
        let loader = Loader { keeper: Arc::clone(&keeper), cache, size_limit: self.size_limit };
        let file = match &self.parameters_file {
            Some(path) => Some(ParametersFile::read(path).await.map_err(StartError::Parameters)?),
            None => None,
        };
        let parameters = merged(&self.parameters, file.as_ref());
        let wanted = self.wanted(parameters.clone()).await;
        let (active, lost) = self.first(&loader, wanted).await?;
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
            leads,
            requests,
        );
        Ok((modules, controller))
    }

    async fn wanted(&self, parameters: Parameters) -> Result<Wanted, SourceError> {
        Ok(Wanted { bytes: self.source.fetch().await?, parameters })
    }

    /// The module to begin with, and whether the approved one is lost, so that this one is not approved.
    async fn first(
        &self,
        loader: &Loader,
        wanted: Result<Wanted, SourceError>,
    ) -> Result<(Arc<LoadedModule>, bool), StartError> {
        let new = |bytes: ModuleBytes, parameters| {
            let (load, limits) = (self.load, self.limits.clone());
            load_aside(move || load(&bytes, limits, parameters))
        };
        let active = loader.keeper.document().borrow().module.active.clone();
        let Some(ModuleRecord { identity, .. }) = active else {
            let Wanted { bytes, parameters } = wanted?;
            return Ok((new(bytes, parameters).await?, false));
        };
        if let Ok(Wanted { bytes, parameters }) = &wanted
            && Identity::new(bytes.digest, parameters) == identity
        {
            return Ok((new(bytes.clone(), parameters.clone()).await?, false));
        }
        let kept = match &wanted {
            // Other parameters of the same module.
            Ok(Wanted { bytes, .. }) if bytes.digest == identity.module => Some(bytes.clone()),
            _ => loader.find(identity.module).await,
        };
        if let Some(kept) = kept {
            match new(kept, identity.parameters()).await {
                Ok(module) => {
                    if let Err(error) = &wanted {
                        warn!("{error}; the module that was in use goes on: {identity}");
                    }
                    return Ok((module, false));
                }
                Err(error) => error!("the module that was in use cannot be loaded any more: {error}"),
            }
        }
        let Wanted { bytes, parameters } = wanted?;
        error!(
            lost = %identity,
            found = %bytes.digest,
            "the module that was in use is not to be had, and its source has another one: nothing is written until that is approved; set --module-cache to a directory that outlives a restart"
        );
        Ok((new(bytes, parameters).await?, true))
    }
}
