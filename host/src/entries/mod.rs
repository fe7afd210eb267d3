//! Where ServiceEntries come from: those with our labels, as they come, change and go. It knows nothing of the registry.
//!
//! Both kinds yield the events of kube's watcher, so that one reflector and one queue serve them.

mod backend;
mod directory;
mod document;
mod files;
mod kubernetes;
mod made;
mod merge;
mod notes;
mod output_error;

use std::collections::BTreeMap;

use futures::stream::BoxStream;
use kube::runtime::watcher;

pub use backend::DirectoryBackend;
pub use directory::{DirectoryEntries, is_entry_file};
pub use document::{Contents, Document, DocumentError, POLICY_KIND};
pub use kubernetes::{KubernetesEntries, ask_version, served_version};
pub use made::Written;
pub use output_error::OutputError;

use crate::istio::ServiceEntry;

/// The labels that mark an entry as ours to serve: `manager: aeraki`, `registry: polaris`.
pub const LABELS: [(&str, &str); 2] = [("manager", "aeraki"), ("registry", "polaris")];

/// Entries as they come, change and go. Troubles of the source are logged by it and never end the stream.
pub type EntryEvents = BoxStream<'static, watcher::Event<ServiceEntry>>;

/// [`LABELS`] as a selector.
fn selector() -> String {
    LABELS.map(|(key, value)| format!("{key}={value}")).join(",")
}

/// Whether an entry has our [`LABELS`].
pub fn selected(entry: &ServiceEntry) -> bool {
    entry.metadata.labels.as_ref().is_some_and(are_ours)
}

/// Whether [`LABELS`] are among these.
pub fn are_ours(labels: &BTreeMap<String, String>) -> bool {
    LABELS.iter().all(|(key, value)| labels.get(*key).is_some_and(|found| found == value))
}
