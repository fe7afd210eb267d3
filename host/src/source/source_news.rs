//! The changes of a source, as a follower tells them.

use super::{ModuleBytes, SourceError};

/// A change of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceNews {
    /// It has another content than before.
    Module(ModuleBytes),
    /// It has no module, or cannot be asked. Each distinct trouble is told once until the source has recovered.
    Failed(SourceError),
    /// Its troubles are over. A [`Module`](Self::Module) follows if the content is another one now.
    Recovered,
}
