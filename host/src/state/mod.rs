//! Keeps one small document that all replicas share and that outlives them: a ConfigMap in a cluster, a file without one.
//! It does not know the content of the document.

mod config_map;
mod document;
mod error;
mod file;
mod keeper;
mod store;

pub use config_map::{CARRIED, ConfigMapStore};
pub use document::{Blobs, Document};
pub use error::StateError;
pub use file::FileStore;
pub use keeper::Keeper;
pub use store::Store;
