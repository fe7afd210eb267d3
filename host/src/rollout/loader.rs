//! Finds modules that were in use, and compiles candidates, beside the running calls.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::warn;

use super::{Process, SharedState};
use crate::converter::{Identity, LoadError, LoadedModule, Parameters, aside};
use crate::digest::Digest;
use crate::source::{Cache, ModuleBytes};
use crate::state::{Keeper, StateError};

/// The places in which modules are found.
pub(super) struct Loader {
    pub(super) keeper: Arc<Keeper<SharedState>>,
    pub(super) cache: Option<Cache>,
    pub(super) size_limit: u64,
    /// Tells what this process notes from what another one did.
    pub(super) process: Process,
}

impl Loader {
    /// Finds a module that was in use: in this binary, the cache or the shared state.
    pub(super) async fn find(&self, digest: Digest) -> Option<ModuleBytes> {
        let embedded = ModuleBytes::embedded();
        if embedded.digest == digest {
            return Some(embedded);
        }
        let cached = self.cache.as_ref().and_then(|cache| cache.module(digest, self.size_limit));
        let bytes = match cached {
            Some(bytes) => bytes.into(),
            None => self.keeper.blob(digest).await?,
        };
        Some(ModuleBytes::new(bytes, format!("kept {digest}")))
    }

    /// Finds a module and compiles it for the sandbox of another one. `None` if it is not found, or unfit by now.
    pub(super) async fn load(&self, identity: &Identity, beside: &Arc<LoadedModule>) -> Option<Arc<LoadedModule>> {
        let bytes = self.find(identity.module).await?;
        match self.noted(identity, compile(beside, bytes, identity.parameters())).await {
            Ok(module) => Some(module),
            Err(error) => {
                warn!("a module that was in use cannot be loaded any more: {error}");
                None
            }
        }
    }

    /// How many processes ended here while they loaded a module.
    pub(super) fn ended_by(&self, module: &Identity) -> u32 {
        self.keeper.document().borrow().module.ended_by(module, &self.process)
    }

    /// Loads a module, with a note of that while it lasts. One that cannot be written is missed only if this process ends now.
    pub(super) async fn noted<T>(&self, module: &Identity, load: impl Future<Output = T>) -> T {
        let is_embedded = module.module == ModuleBytes::embedded().digest;
        if is_embedded {
            return load.await;
        }
        if let Err(error) = self.note_loading(module, false).await {
            warn!("a module is loaded without a note of that: {error}");
        }
        let loaded = load.await;
        let note = self.keeper.update(|state, _| state.module.end_loading(module, &self.process)).await;
        if let Err(error) = note {
            warn!("it is not noted yet that a module was loaded: {error}");
        }
        loaded
    }

    pub(super) async fn note_loading(&self, module: &Identity, candidate: bool) -> Result<(), StateError> {
        let now = Timestamp::now();
        let note = |state: &mut SharedState, _: &mut _| {
            state.module.begin_loading(module, &self.process, candidate, now);
        };
        self.keeper.update(note).await
    }

    /// Keeps a module in the cache for the next start.
    pub(super) fn keep(&self, module: &LoadedModule) {
        let bytes = module.bytes();
        if let Some(cache) = &self.cache
            && let Err(error) = cache.keep_module(bytes.digest, &bytes.bytes)
        {
            warn!("module cache: {error}; after a restart the module has to come from its source");
        }
    }
}

/// Checks and compiles a module beside the running calls, on a thread of low priority.
///
/// # Errors
///
/// It is no module of ours.
pub async fn compile(
    beside: &Arc<LoadedModule>,
    bytes: ModuleBytes,
    parameters: Parameters,
) -> Result<Arc<LoadedModule>, LoadError> {
    let beside = Arc::clone(beside);
    load_aside(move || beside.beside(&bytes, parameters)).await
}

/// Loads a module on a thread of low priority: that may take as long as its limits say, and a stop does not wait for it.
pub(super) async fn load_aside(
    load: impl FnOnce() -> Result<LoadedModule, LoadError> + Send + 'static,
) -> Result<Arc<LoadedModule>, LoadError> {
    let loaded = aside(load).await;
    loaded.unwrap_or_else(|detail| Err(LoadError::Sandbox { detail })).map(Arc::new)
}
