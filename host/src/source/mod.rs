//! Where a module's bytes come from: the binary itself, a file, a mounted directory, or an OCI registry.
//!
//! [`follow`] gives them as they come and change, [`fetch`] once. What is handed out is whole and has the digest that it
//! says; whether it is a module is for others to judge. No trouble of a source ends it or takes away what it gave before:
//! it is told, and the source goes on trying.

mod address;
mod cache;
mod change_notifier;
mod embedded;
mod error;
mod files;
mod follower;
mod module_bytes;
mod oci;
mod reference;
mod settings;
mod settled;

pub use address::Source;
pub use cache::Cache;
pub use error::SourceError;
pub use follower::{Follower, SourceNews, follow};
pub use module_bytes::ModuleBytes;
pub use reference::Reference;
pub use settings::{OciSettings, PlainHttp, Settings};

/// Gets what a source has now, once.
///
/// # Errors
///
/// It has nothing that could be a module, or cannot be asked.
pub async fn fetch(source: &Source, settings: &Settings) -> Result<ModuleBytes, SourceError> {
    match source {
        Source::Embedded => Ok(embedded::candidate()),
        Source::File(path) => files::Place::File(path.clone()).look(settings).await,
        Source::Directory(path) => files::Place::Directory(path.clone()).look(settings).await,
        Source::Oci(reference) => oci::fetch(reference, settings).await,
    }
}

/// Does work that blocks on a thread for it.
async fn blocking<T: Send + 'static>(
    origin: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SourceError> {
    let problem =
        |error: tokio::task::JoinError| SourceError::Client { origin: origin.into(), problem: error.to_string() };
    tokio::task::spawn_blocking(work).await.map_err(problem)
}
