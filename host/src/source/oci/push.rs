//! Puts a module into a registry, in the layout of `wkg`: a config that says what the component has, and one layer.
//! <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>

use bytes::Bytes;
use serde_json::{Value, json};

use super::manifest::{CONFIG, LAYER, MANIFEST};
use super::session::Session;
use super::token::Access;
use crate::digest::Digest;
use crate::source::{Reference, Settings, SourceError};

/// The result of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the manifest, which a reference pins and a signature signs.
    pub manifest: Digest,
    /// The reference with that digest.
    pub pinned: String,
}

/// Pushes a module to a tag, and returns what it is called by now. The same module gets the same digest each time.
///
/// # Errors
///
/// The reference has no tag, or the registry does not take it.
pub async fn push(
    reference: &Reference,
    module: Bytes,
    exports: &[String],
    settings: &Settings,
) -> Result<Pushed, SourceError> {
    if reference.digest().is_some() {
        return Err(SourceError::Push {
            reference: reference.to_string(),
            problem: "it names a digest, which is what a push finds out".into(),
            remedy: "name a tag alone, as oci://registry/repository:v1",
        });
    }
    let mut session = Session::new(reference, settings, Access::Push).await?;
    let config = Bytes::from(config(&module, exports).to_string());
    let manifest = Bytes::from(manifest(&config, &module).to_string());
    session.push(module).await?;
    session.push(config).await?;
    session.push_manifest(manifest.clone()).await?;
    let manifest = Digest::of(&manifest);
    Ok(Pushed { manifest, pinned: reference.pinned(manifest).to_string() })
}

/// The time is a constant: one that is true would give each push of a module another digest.
fn config(module: &[u8], exports: &[String]) -> Value {
    json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [Digest::of(module).to_string()],
        "component": {"exports": exports, "imports": []},
    })
}

fn manifest(config: &[u8], module: &[u8]) -> Value {
    let described = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": Digest::of(bytes).to_string(), "size": bytes.len()});
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(CONFIG, config),
        "layers": [described(LAYER, module)],
    })
}
