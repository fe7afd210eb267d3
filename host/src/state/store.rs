//! The places in which the document can be kept.

use super::document::{Document, Read};
use super::{ConfigMapStore, FileStore, StateError};

/// A place for the document.
pub enum Store {
    /// Memory: the document ends with the process.
    Memory,
    /// A file, for runs without Kubernetes.
    File(FileStore),
    ConfigMap(Box<ConfigMapStore>),
}

impl Store {
    pub(super) async fn read<D: Document>(&self) -> Result<Read<D>, StateError> {
        match self {
            Self::Memory => Ok(Read::default()),
            Self::File(file) => file.read(),
            Self::ConfigMap(map) => map.read().await,
        }
    }

    /// Replaces the document that was read. Returns the new version; `None` if another process was quicker.
    pub(super) async fn write<D: Document>(&self, read: &Read<D>) -> Result<Option<String>, StateError> {
        match self {
            Self::Memory => Ok(Some(String::new())),
            Self::File(file) => file.write(&read.document).map(Some),
            Self::ConfigMap(map) => map.write(read).await,
        }
    }
}
