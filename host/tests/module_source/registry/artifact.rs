//! The content of a registry: manifests, and modules as their blobs.

use polaris2istio::digest::Digest;
use polaris2istio::source::Source;
use serde_json::{Value, json};

use super::fake::Fake;
use super::reply::{Reply, body};

impl Fake {
    /// Puts a manifest under a tag and its digest, as a registry does.
    pub(super) fn tag(&self, tag: &str, manifest: &Value) -> Digest {
        let text = manifest.to_string();
        let digest = Digest::of(text.as_bytes());
        let reply = Reply::Full(200, vec![("Docker-Content-Digest", digest.to_string())], text.into());
        self.set(format!("/v2/rules/manifests/{tag}"), reply.clone());
        self.set(format!("/v2/rules/manifests/{digest}"), reply);
        digest
    }

    /// Pushes a module, and returns the manifest's digest.
    pub(super) fn push(&self, tag: &str, module: &[u8]) -> Digest {
        let digest = Digest::of(module);
        self.set(format!("/v2/rules/blobs/{digest}"), body(module));
        self.tag(tag, &manifest(digest, module.len() as u64))
    }

    pub(super) fn blob(&self, module: &[u8], reply: Reply) {
        self.set(format!("/v2/rules/blobs/{}", Digest::of(module)), reply);
    }

    pub(super) fn source(&self, name: &str) -> Source {
        format!("oci://127.0.0.1:{}/rules{name}", self.port).parse().unwrap()
    }
}

pub(super) fn manifest(module: Digest, size: u64) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": Digest::of(b"{}").to_string(), "size": 2},
        "layers": [{"mediaType": "application/wasm", "digest": module.to_string(), "size": size}],
    })
}
