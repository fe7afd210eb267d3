//! Finds the signature of a manifest in its registry: beside it under a tag (`sha256-….sig`), or as what refers to it.

use std::path::Path;

use serde::Deserialize;

use super::http::What;
use super::manifest::{self, ACCEPT};
use super::session::Session;
use super::signature::{Key, Signature};
use crate::digest::Digest;
use crate::source::{Reference, SourceError};

/// How many signatures are looked at; each is a request.
const MOST: usize = 16;

const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
    #[serde(default)]
    manifests: Vec<Layer>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

/// A search for the signature of one manifest.
pub(super) struct Search<'a> {
    pub(super) session: &'a mut Session,
    pub(super) reference: &'a Reference,
    pub(super) key: (&'a Path, &'a Key),
    pub(super) manifest: Digest,
}

impl Search<'_> {
    /// A signature by the key; an error if there is none.
    pub(super) async fn find(mut self) -> Result<Signature, SourceError> {
        let mut others = 0;
        for listed in self.simple().await? {
            let Some(signature) = listed.annotations.get(ANNOTATION).cloned() else { continue };
            let document = self.blob(&listed.digest).await?;
            let found = Signature::Simple { document, signature };
            if found.proves(self.key.1, self.manifest) {
                return Ok(found);
            }
            others += 1;
        }
        for listed in self.bundles().await? {
            let mut layers = self.manifest(&format!("manifests/{}", listed.digest)).await?.layers;
            layers.retain(|layer| layer.media_type.starts_with(BUNDLE));
            if let Some(layer) = layers.first() {
                let found = Signature::Bundle(self.blob(&layer.digest).await?);
                if found.proves(self.key.1, self.manifest) {
                    return Ok(found);
                }
                others += 1;
            }
        }
        Err(SourceError::Unsigned {
            reference: self.reference.to_string(),
            signed: format!("{}/{}@{}", self.reference.registry(), self.reference.repository(), self.manifest),
            problem: match others {
                0 => "it has no cosign signature".into(),
                others => format!("of its {others} cosign signatures none is by this key and for this digest"),
            },
            key: self.key.0.into(),
        })
    }

    async fn simple(&mut self) -> Result<Vec<Layer>, SourceError> {
        let path = format!("manifests/sha256-{}.sig", self.manifest.hex());
        let mut layers = self.manifest(&path).await?.layers;
        layers.retain(|layer| layer.media_type == SIMPLE);
        layers.truncate(MOST);
        Ok(layers)
    }

    /// By the registry's own list, or where it keeps none, by the tag that clients keep.
    async fn bundles(&mut self) -> Result<Vec<Layer>, SourceError> {
        let mut found = self.manifest(&format!("referrers/{}", self.manifest)).await?.manifests;
        if found.is_empty() {
            found = self.manifest(&format!("manifests/sha256-{}", self.manifest.hex())).await?.manifests;
        }
        // Their kinds do not help to choose: cosign 2.6 lists its bundles under the kind of an empty config.
        found.truncate(MOST);
        Ok(found)
    }

    /// A manifest or an index; an empty one if the registry has none such.
    async fn manifest(&mut self, path: &str) -> Result<Manifest, SourceError> {
        let answer = match self.session.get(What::Signature, path, ACCEPT).await {
            Ok(answer) => answer,
            Err(SourceError::Missing { .. }) => return Ok(Manifest { layers: Vec::new(), manifests: Vec::new() }),
            Err(SourceError::Status { status: 400 | 405 | 406, .. }) => {
                return Ok(Manifest { layers: Vec::new(), manifests: Vec::new() });
            }
            Err(error) => return Err(error),
        };
        manifest::parse(&answer.body).map_err(|(field, problem)| self.unfit(field, problem))
    }

    /// A text by its digest. It is not compared with it: the key's signature says more.
    async fn blob(&mut self, digest: &str) -> Result<String, SourceError> {
        let digest: Digest = digest
            .parse()
            .map_err(|error| self.unfit("digest".into(), format!("{}: {error}", manifest::short(digest))))?;
        let answer = self.session.get(What::Signature, &format!("blobs/{digest}"), "*/*").await?;
        String::from_utf8(answer.body).map_err(|_| self.unfit("blob".into(), "it is no text".into()))
    }

    fn unfit(&self, field: String, problem: String) -> SourceError {
        SourceError::Answer {
            reference: self.reference.to_string(),
            field: format!("signature: {field}"),
            problem,
            remedy: "sign the module again with cosign",
        }
    }
}
