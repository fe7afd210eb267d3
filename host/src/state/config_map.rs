//! The document as a ConfigMap, replaced only as it was read (optimistic concurrency by `resourceVersion`).
//!
//! It carries small modules along, under their digests: the embedded module of the last release is to be had nowhere else,
//! and a new release has to be compared with it.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::ready;
use futures::{Stream, StreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::watcher::Event;

use super::StateError;
use super::document::{Blobs, Document, Read};
use crate::digest::Digest;
use crate::kube_watch;
use crate::title::title;

const STATE: &str = "state.json";
/// A ConfigMap holds 1 MiB in all; the document itself takes some of it, 128 KiB for the guard.
pub const CARRIED: usize = 704 << 10;

pub struct ConfigMapStore {
    api: Api<ConfigMap>,
    namespace: String,
    name: String,
}

impl ConfigMapStore {
    /// Names the ConfigMap; it need not be there.
    pub fn new(client: kube::Client, namespace: &str, name: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), namespace: namespace.into(), name: name.into() }
    }

    pub(super) async fn read<D: Document>(&self) -> Result<Read<D>, StateError> {
        match self.api.get_opt(&self.name).await {
            Ok(None) => Ok(Read::default()),
            Ok(Some(map)) => self.parse(map),
            Err(error) => Err(self.failed(&error)),
        }
    }

    pub(super) async fn write<D: Document>(&self, read: &Read<D>) -> Result<Option<String>, StateError> {
        let map = self.map(read)?;
        let written = match &read.version {
            None => self.api.create(&PostParams::default(), &map).await,
            Some(_) => self.api.replace(&self.name, &PostParams::default(), &map).await,
        };
        match written {
            Ok(map) => Ok(Some(map.metadata.resource_version.unwrap_or_default())),
            // Another process wrote, created or deleted it meanwhile.
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The document, whenever it changes; `None` when it is gone, or was not there when it was looked for.
    pub(super) fn changes<D: Document>(
        &self,
    ) -> impl Stream<Item = Result<Option<Read<D>>, StateError>> + Send + use<'_, D> {
        // Listed and then watched: of one object there is nothing to stream.
        let name = format!("metadata.name={}", self.name);
        let api = Api::namespaced(self.api.clone().into_client(), &self.namespace);
        let mut listed = false;
        kube_watch::watch(api, move |config| config.fields(&name)).filter_map(move |event| {
            let change = match event {
                Ok(Event::Init) => {
                    listed = false;
                    None
                }
                Ok(Event::InitApply(map) | Event::Apply(map)) => {
                    listed = true;
                    Some(self.parse(map).map(Some))
                }
                Ok(Event::InitDone) if listed => None,
                Ok(Event::InitDone | Event::Delete(_)) => Some(Ok(None)),
                Err(error) => Some(Err(StateError::Unavailable { name: self.title(), detail: error.to_string() })),
            };
            ready(change)
        })
    }

    fn parse<D: Document>(&self, map: ConfigMap) -> Result<Read<D>, StateError> {
        let malformed = |detail: String| StateError::Malformed { place: format!("ConfigMap {}", self.title()), detail };
        let document = match map.data.unwrap_or_default().get(STATE) {
            Some(text) => serde_json::from_str(text).map_err(|error| malformed(format!("{STATE}: {error}")))?,
            None => D::default(),
        };
        let blobs = map.binary_data.unwrap_or_default().into_iter().filter_map(|(key, ByteString(bytes))| {
            let digest: Digest = key.strip_suffix(".wasm")?.replacen('-', ":", 1).parse().ok()?;
            // A content under another one's digest is not trusted.
            (Digest::of(&bytes) == digest).then(|| (digest, Bytes::from(bytes)))
        });
        Ok(Read { document, blobs: blobs.collect(), version: map.metadata.resource_version })
    }

    fn map<D: Document>(&self, read: &Read<D>) -> Result<ConfigMap, StateError> {
        let text = serde_json::to_string_pretty(&read.document)
            .map_err(|error| StateError::Malformed { place: self.title(), detail: error.to_string() })?;
        Ok(ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                resource_version: read.version.clone(),
                labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".into(), "polaris2istio".into())])),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([(STATE.into(), text)])),
            binary_data: Some(carried(&read.blobs)),
            ..ConfigMap::default()
        })
    }

    fn failed(&self, error: &kube::Error) -> StateError {
        let name = self.title();
        match error {
            kube::Error::Api(status) if [401, 403].contains(&status.code) => {
                StateError::Forbidden { name, detail: status.message.clone() }
            }
            error => StateError::Unavailable { name, detail: error.to_string() },
        }
    }

    fn title(&self) -> String {
        title(&self.namespace, &self.name)
    }
}

/// As many modules as fit, the smallest first: a large one is in a registry, or nowhere.
fn carried(blobs: &Blobs) -> BTreeMap<String, ByteString> {
    let mut by_size: Vec<_> = blobs.iter().collect();
    by_size.sort_by_key(|(_, bytes)| bytes.len());
    let mut left = CARRIED;
    let fits = by_size.into_iter().take_while(|(_, bytes)| {
        let fits = bytes.len() <= left;
        left = left.saturating_sub(bytes.len());
        fits
    });
    fits.map(|(digest, bytes)| (format!("{}.wasm", digest.to_string().replace(':', "-")), ByteString(bytes.to_vec())))
        .collect()
}
