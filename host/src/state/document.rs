//! The document as a value: its contents, and the version that it was read at.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::Digest;

/// Contents by digest, which a document may carry along.
pub type Blobs = BTreeMap<Digest, bytes::Bytes>;

/// A document that can be kept.
pub trait Document: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<D: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Document for D {}

/// A document as it was read, with the version that is needed to replace just that one.
#[derive(Clone, Debug, Default)]
pub(super) struct Read<D> {
    pub(super) document: D,
    pub(super) blobs: Blobs,
    /// The store's version; `None` if there is no document yet.
    pub(super) version: Option<String>,
}
