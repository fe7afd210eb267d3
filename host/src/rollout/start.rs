//! What is in use from the start: what was in use before, where that is to be had. A module that is new at its source goes
//! through a change like any other, and so does the embedded module of a new release.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

use super::controller::{Request, RolloutController, named};
use super::loader::Loader;
use super::module_set::ModuleSet;
use super::module_state::ModuleRecord;
use super::{ActiveModules, Policy, SharedState};
use crate::converter::Identity;
use crate::converter::{Limits, LoadError, LoadedModule, Parameters, ParametersFile};
use crate::source::{Cache, ModuleBytes, Settings, Source, SourceError, fetch, follow};
use crate::state::{Keeper, StateError};

/// All that a change of modules depends on.
#[derive(Clone)]
pub struct Setup {
    /// Where modules come from.
    pub source: Source,
    /// How to get at them.
    pub settings: Settings,
    /// What a call may use.
    pub limits: Limits,
    /// Parameters by flags.
    pub parameters: Parameters,
    /// More of them, in a file that is followed.
    pub parameters_file: Option<PathBuf>,
    /// Who decides.
    pub policy: Policy,
}

/// Why there is no module to begin with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its source has none.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is unfit.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Parameters cannot be read.
    #[error("{0}")]
    Parameters(String),
    /// The cache cannot be used.
    #[error("module cache {path}: {source}; give --module-cache a directory that this process can write")]
    Cache {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The shared state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What the source has, with the parameters that are set for it.
struct Wanted {
    candidate: ModuleBytes,
    parameters: Parameters,
}

impl Setup {
    /// Decides what is in use, and returns what converts and what changes it.
    ///
    /// # Errors
    ///
    /// Neither the module that was in use nor the configured one is to be had: then nothing can be written.
    pub async fn open(
        self,
        keeper: Arc<Keeper<SharedState>>,
        leads: watch::Receiver<bool>,
        requests: mpsc::Receiver<Request>,
    ) -> Result<(Arc<ActiveModules>, RolloutController), StartError> {
        let cache = match &self.settings.cache {
            Some(path) => Some(Cache::open(path).map_err(|source| StartError::Cache { path: path.clone(), source })?),
            None => None,
        };
        let loader = Loader { keeper: Arc::clone(&keeper), cache, size_limit: self.settings.size_limit };
        let file = match &self.parameters_file {
            Some(path) => Some(ParametersFile::read(path).await.map_err(StartError::Parameters)?),
            None => None,
        };
        let parameters = merged(&self.parameters, file.as_ref());
        let wanted = self.wanted(parameters.clone()).await;
        let (active, lost) = self.first(&loader, wanted).await?;
        let ledger = keeper.document().borrow().module.clone();
        if !lost {
            let (rules, ModuleBytes { digest, bytes, .. }) =
                (named(&active, Timestamp::now()), active.candidate().clone());
            let carry = keeper.update_patiently(|state, blobs| {
                if state.module.active.is_none() {
                    state.module.install(rules.clone());
                }
                blobs.insert(digest, bytes.clone());
            });
            carry.await?;
        }
        loader.keep(&active);
        let live = Arc::new(ActiveModules::new(Arc::clone(&active), self.policy.most_failures));
        if let Some(canary) = ledger.canary.filter(|_| !lost)
            && let Some(rules) = loader.load(&canary.rules.identity, &active).await
        {
            // Its entries must not go back and forth over a restart.
            live.install(ModuleSet { canary: Some((rules, canary.share)), ..ModuleSet::of(active) });
        }
        let source = follow(self.source.clone(), self.settings.clone());
        let file = self.parameters_file.map(|path| ParametersFile::follow(&path));
        let swapper = RolloutController::new(
            Arc::clone(&live),
            loader,
            source,
            self.parameters,
            file,
            self.policy,
            lost,
            leads,
            requests,
        );
        Ok((live, swapper))
    }

    async fn wanted(&self, parameters: Parameters) -> Result<Wanted, SourceError> {
        Ok(Wanted { candidate: fetch(&self.source, &self.settings).await?, parameters })
    }

    /// The module to begin with, and whether it is one that nobody has approved, since the approved one is lost.
    async fn first(
        &self,
        loader: &Loader,
        wanted: Result<Wanted, SourceError>,
    ) -> Result<(Arc<LoadedModule>, bool), StartError> {
        let new = |candidate: &ModuleBytes, parameters| {
            LoadedModule::new(candidate, self.limits.clone(), parameters).map(Arc::new)
        };
        let active = loader.keeper.document().borrow().module.active.clone();
        let Some(ModuleRecord { identity, .. }) = active else {
            let Wanted { candidate, parameters } = wanted?;
            return Ok((new(&candidate, parameters)?, false));
        };
        if let Ok(Wanted { candidate, parameters }) = &wanted
            && Identity::new(candidate.digest, parameters) == identity
        {
            return Ok((new(candidate, parameters.clone())?, false));
        }
        let kept = match &wanted {
            // Other parameters of the same module.
            Ok(Wanted { candidate, .. }) if candidate.digest == identity.module => Some(candidate.clone()),
            _ => loader.find(identity.module).await,
        };
        if let Some(kept) = kept {
            match new(&kept, identity.parameters()) {
                Ok(rules) => {
                    if let Err(error) = &wanted {
                        warn!("{error}; the module that was in use goes on: {identity}");
                    }
                    return Ok((rules, false));
                }
                Err(error) => error!("the module that was in use cannot be loaded any more: {error}"),
            }
        }
        let Wanted { candidate, parameters } = wanted?;
        error!(
            lost = %identity,
            found = %candidate.digest,
            "the module that was in use is not to be had, and its source has another one: nothing is written until that is approved; set --module-cache to a directory that outlives a restart"
        );
        Ok((new(&candidate, parameters)?, true))
    }
}

/// Parameters by flags count before those of the file, and those that the host sets before all.
pub(super) fn merged(flags: &Parameters, file: Option<&Parameters>) -> Parameters {
    let own = file.into_iter().flatten().filter(|(key, _)| !flags.iter().any(|(known, _)| known == key));
    let mut all: Parameters = flags.iter().chain(own).cloned().collect();
    all.sort();
    all
}
