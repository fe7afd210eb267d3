//! Where the document lies.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ConfigMapStore, FileStore, StateError};
use crate::digest::Digest;

/// Contents by digest, which a document may carry along.
pub type Blobs = BTreeMap<Digest, bytes::Bytes>;

/// A document that can be kept.
pub trait Document: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<D: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Document for D {}

/// A document as it was read, with what is needed to replace just that.
#[derive(Clone, Debug, Default)]
pub(super) struct Read<D> {
    pub(super) document: D,
    pub(super) blobs: Blobs,
    /// The store's version; none where there is nothing yet.
    pub(super) version: Option<String>,
}

/// A place for the document.
pub enum Store {
    /// It is gone with the process.
    Memory,
    /// A file, for runs without Kubernetes.
    File(FileStore),
    /// A ConfigMap.
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

    /// Replaces what was read. Returns the new version; none where someone else was quicker.
    pub(super) async fn write<D: Document>(&self, read: &Read<D>) -> Result<Option<String>, StateError> {
        match self {
            Self::Memory => Ok(Some(String::new())),
            Self::File(file) => file.write(&read.document).map(Some),
            Self::ConfigMap(map) => map.write(read).await,
        }
    }
}
