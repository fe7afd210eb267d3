//! A source of modules as those see it who load them: what it has now, and how that changes.

use futures::future::BoxFuture;

use super::follower::Follower;
use super::{ModuleBytes, Settings, Source, SourceError, fetch, follow};

/// A source of modules.
pub trait ModuleSource: Send + Sync + 'static {
    /// The module that it has now.
    fn fetch(&self) -> BoxFuture<'_, Result<ModuleBytes, SourceError>>;

    /// Follows it. To be called within a tokio runtime.
    fn follow(&self) -> Follower;
}

/// A source as the operator names it, with its settings.
#[derive(Clone, Debug)]
pub struct NamedSource {
    pub source: Source,
    pub settings: Settings,
}

impl ModuleSource for NamedSource {
    fn fetch(&self) -> BoxFuture<'_, Result<ModuleBytes, SourceError>> {
        Box::pin(fetch(&self.source, &self.settings))
    }

    fn follow(&self) -> Follower {
        follow(self.source.clone(), self.settings.clone())
    }
}
