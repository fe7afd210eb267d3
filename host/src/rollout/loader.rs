//! Finds modules that were in use, and compiles candidates, beside the calls that run.

use std::sync::Arc;

use tracing::warn;

use super::SharedState;
use crate::converter::Identity;
use crate::converter::{LoadError, LoadedModule, Parameters};
use crate::digest::Digest;
use crate::source::{Cache, ModuleBytes};
use crate::state::Keeper;

/// How much lower than others the thread's priority is that compiles and compares: a change must not delay what runs.
const NICE: i32 = 10;

/// The ways to a module.
pub(super) struct Loader {
    pub(super) keeper: Arc<Keeper<SharedState>>,
    pub(super) cache: Option<Cache>,
    pub(super) size_limit: u64,
}

impl Loader {
    /// A module that was in use: from this binary, the cache or the shared state.
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

    /// A module of an identity, compiled for the sandbox of another one; none where it is not to be had or unfit by now.
    pub(super) async fn load(&self, identity: &Identity, beside: &Arc<LoadedModule>) -> Option<Arc<LoadedModule>> {
        let candidate = self.find(identity.module).await?;
        match compile(beside, candidate, identity.parameters()).await {
            Ok(rules) => Some(rules),
            Err(error) => {
                warn!("a module that was in use cannot be loaded any more: {error}");
                None
            }
        }
    }

    /// Keeps a module that is about to be used, for the next start.
    pub(super) fn keep(&self, rules: &LoadedModule) {
        let candidate = rules.candidate();
        if let Some(cache) = &self.cache
            && let Err(error) = cache.keep_module(candidate.digest, &candidate.bytes)
        {
            warn!("module cache: {error}; after a restart the module has to come from its source");
        }
    }
}

/// Checks and compiles a candidate beside the calls that run, on a thread of low priority.
///
/// # Errors
///
/// It is no module of ours.
pub async fn compile(
    beside: &Arc<LoadedModule>,
    candidate: ModuleBytes,
    parameters: Parameters,
) -> Result<Arc<LoadedModule>, LoadError> {
    let beside = Arc::clone(beside);
    let compiled = aside(move || beside.beside(&candidate, parameters)).await;
    compiled.unwrap_or_else(|detail| Err(LoadError::Sandbox { detail })).map(Arc::new)
}

/// Does work on a thread of its own with a low priority.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let thread = move || {
        // On Linux a thread has a priority of its own. Where it cannot be lowered, the work is done all the same.
        let _ = rustix::process::nice(NICE);
        let _ = sender.send(work());
    };
    std::thread::Builder::new().name("module change".into()).spawn(thread).map_err(|error| error.to_string())?;
    receiver.await.map_err(|_| "the thread that was to do it ended".into())
}
