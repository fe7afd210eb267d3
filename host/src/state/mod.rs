//! What all replicas share, and what outlives them: a small document with the modules in use, a pause, and commands on
//! their way to the leader. A ConfigMap in a cluster, a file without one.

mod config_map;
mod document;
mod error;
mod file;
mod keeper;
mod store;

pub use config_map::ConfigMapStore;
pub use document::{Answered, Paused, Sent, State};
pub use error::StateError;
pub use file::FileStore;
pub use keeper::Keeper;
pub use store::Store;

#[cfg(test)]
mod versions;
