//! The sources of a module's bytes: the binary itself, a file, a mounted directory, or an OCI registry.
//!
//! [`follow`] gives them as they come and change, [`fetch`] once. They are whole and have the digest that they say;
//! whether they are a module is for others to judge. A trouble of a source neither ends it nor takes away the module that
//! it gave before: the trouble is told, and the source goes on trying.

mod address;
mod cache;
mod change_notifier;
mod error;
mod files;
mod follower;
mod module_bytes;
mod module_source;
mod oci;
mod reference;
mod settings;
mod settled;
mod source_news;

pub use address::Source;
pub use cache::Cache;
pub use error::SourceError;
pub use follower::{Follower, follow};
pub use module_bytes::ModuleBytes;
pub use module_source::{ModuleSource, NamedSource};
pub use oci::{Pushed, decode_challenge, decode_docker_config, decode_manifest, decode_token, push};
pub use reference::Reference;
pub use settings::{OciSettings, PlainHttp, Settings};
pub use source_news::SourceNews;

/// Gets the module that a source has now, once.
///
/// # Errors
///
/// It has nothing that could be a module, or cannot be asked.
pub async fn fetch(source: &Source, settings: &Settings) -> Result<ModuleBytes, SourceError> {
    match source {
        Source::Embedded => Ok(ModuleBytes::embedded()),
        Source::File(path) => files::Place::File(path.clone()).read(settings).await,
        Source::Directory(path) => files::Place::Directory(path.clone()).read(settings).await,
        Source::Oci(reference) => oci::fetch(reference, settings).await,
    }
}

/// Runs work that blocks on a thread of its own.
async fn blocking<T: Send + 'static>(
    origin: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SourceError> {
    let problem =
        |error: tokio::task::JoinError| SourceError::Client { origin: origin.into(), problem: error.to_string() };
    tokio::task::spawn_blocking(work).await.map_err(problem)
}
