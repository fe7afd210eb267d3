//! Finds the layer of an artifact that is the module.
//!
//! `wkg` writes a config of `application/vnd.wasm.config.v0+json` and one layer of `application/wasm`
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>), `oras` an empty config and that layer, older
//! tools a layer of another name. So the layer decides; the config is for other runtimes.

use serde::Deserialize;

use crate::digest::Digest;
use crate::source::SourceError;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of a module's config, by which `wkg` and others know it.
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The accepted answers: manifests, and lists of them.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// The media type of a layer that is a module.
pub(super) const LAYER: &str = "application/wasm";

/// The media types of layers that hold WebAssembly: of the present layout, and of two that came before.
const WASM: [&str; 3] =
    [LAYER, "application/vnd.wasm.content.layer.v1+wasm", "application/vnd.module.wasm.content.layer.v1+wasm"];

const PUSH: &str = "push the module with `polaris2istio module push`, `wkg oci push`, or `oras push REFERENCE module.wasm:application/wasm`";

/// A blob as a manifest describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<Config>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    manifests: Option<Vec<Listed>>,
}

/// A manifest in an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    digest: String,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
}

/// The blobs that a manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Module(Layer),
    /// An index names the manifest that names the module.
    Manifest(Digest),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// Finds the module in a manifest, or the manifest in an index.
pub(super) fn named(reference: &str, body: &[u8]) -> Result<Named, SourceError> {
    let mut manifest = read(reference, body)?;
    match manifest.manifests.take() {
        Some(listed) => in_index(reference, &listed).map(Named::Manifest),
        None => in_manifest(reference, manifest).map(Named::Module),
    }
}

/// Finds the module in a manifest that is no index.
pub(super) fn layer(reference: &str, body: &[u8]) -> Result<Layer, SourceError> {
    match named(reference, body)? {
        Named::Module(layer) => Ok(layer),
        Named::Manifest(_) => Err(kind(reference, "manifests", "lists manifests inside of a list".into(), BY_DIGEST)),
    }
}

const BY_DIGEST: &str = "name one of them by its digest, as repository@sha256:…";

fn kind(reference: &str, field: &'static str, problem: String, remedy: &'static str) -> SourceError {
    SourceError::Kind { reference: reference.into(), field, problem, remedy }
}

/// Finds the one manifest that says that it is of WebAssembly; one that is alone need not say so.
fn in_index(reference: &str, listed: &[Listed]) -> Result<Digest, SourceError> {
    let is_wasm = |listed: &&Listed| {
        listed.artifact_type.as_deref().is_some_and(|kind| kind == CONFIG || kind == LAYER)
            || listed.platform.as_ref().is_some_and(|platform| platform.architecture == "wasm")
    };
    let wasm: Vec<_> = listed.iter().filter(is_wasm).collect();
    let one = match (wasm.as_slice(), listed) {
        ([one], _) => *one,
        ([], [one]) => one,
        _ => {
            let problem = format!(
                "lists {} artifacts (an index), of which {} are of architecture wasm, where one must be",
                listed.len(),
                wasm.len()
            );
            return Err(kind(reference, "manifests", problem, BY_DIGEST));
        }
    };
    digest(reference, "manifests[].digest", &one.digest)
}

fn digest(reference: &str, field: &str, text: &str) -> Result<Digest, SourceError> {
    text.parse().map_err(|error| SourceError::Answer {
        reference: reference.into(),
        field: format!("manifest: {field}"),
        problem: format!("{}: {error}", short(text)),
        remedy: "push the module again with a tool that uses sha256",
    })
}

fn read(reference: &str, body: &[u8]) -> Result<Manifest, SourceError> {
    parse(body).map_err(|(field, problem)| SourceError::Answer {
        reference: reference.into(),
        field: format!("manifest: {field}"),
        problem,
        remedy: "see that the address is a registry's, and push the module again",
    })
}

fn in_manifest(reference: &str, manifest: Manifest) -> Result<Layer, SourceError> {
    let kind = |field, problem, remedy| kind(reference, field, problem, remedy);
    let layers = match manifest.layers {
        Some(layers) if !layers.is_empty() => layers,
        _ => return Err(kind("layers", format!("is empty{}", said(&manifest.artifact_type, &manifest.config)), PUSH)),
    };
    let [layer] = layers.as_slice() else {
        let types: Vec<_> = layers.iter().take(4).map(|layer| short(&layer.media_type)).collect();
        let problem = format!("has {} entries where a module has one: {}", layers.len(), types.join(", "));
        return Err(kind("layers", problem, PUSH));
    };
    if !WASM.contains(&layer.media_type.as_str()) {
        let said = said(&manifest.artifact_type, &manifest.config);
        let problem = format!("is {}, not application/wasm{said}", short(&layer.media_type));
        return Err(kind("layers[0].mediaType", problem, PUSH));
    }
    Ok(Layer { digest: digest(reference, "layers[0].digest", &layer.digest)?, size: layer.size })
}

/// Reads JSON. An error is the field that is wrong, and the problem.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, (String, String)> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json)
        .map_err(|error| (error.path().to_string(), short(&error.inner().to_string())))
}

/// The kind of artifact that a manifest says it is, for the operator.
fn said(artifact_type: &Option<String>, config: &Option<Config>) -> String {
    match (artifact_type, config) {
        (Some(artifact_type), _) => format!(" (the artifact's type is {})", short(artifact_type)),
        (None, Some(config)) => format!(" (its config is {})", short(&config.media_type)),
        (None, None) => String::new(),
    }
}

/// Foreign text, cut and without control characters that a terminal would obey.
pub(super) fn short(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn try_layer(manifest: &Value) -> Result<Layer, SourceError> {
        layer("oci://host/rules:v1", manifest.to_string().as_bytes())
    }

    fn entry(media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": Digest::of(b"module").to_string(), "size": 6})
    }

    fn artifact(config: &str, layers: &[Value]) -> Value {
        json!({"schemaVersion": 2, "config": {"mediaType": config, "digest": "sha256:0", "size": 2}, "layers": layers})
    }

    #[test]
    fn modules_of_every_tool_are_found() {
        let wanted = Layer { digest: Digest::of(b"module"), size: 6 };
        for (config, layer) in [
            ("application/vnd.wasm.config.v0+json", "application/wasm"),
            ("application/vnd.oci.empty.v1+json", "application/wasm"),
            ("application/vnd.unknown.config.v1+json", "application/wasm"),
            ("application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm"),
            ("application/vnd.oci.image.config.v1+json", "application/vnd.module.wasm.content.layer.v1+wasm"),
        ] {
            assert_eq!(try_layer(&artifact(config, &[entry(layer)])), Ok(wanted), "{config}");
        }
    }

    fn index(listed: &[(&str, &[u8])]) -> Value {
        let listed = listed.iter().map(|(architecture, content)| {
            json!({"mediaType": MANIFEST, "digest": Digest::of(content).to_string(), "size": 1,
                "platform": {"architecture": architecture, "os": "wasi"}})
        });
        json!({"schemaVersion": 2, "manifests": listed.collect::<Vec<_>>()})
    }

    #[test]
    fn an_index_names_the_one_manifest_of_wasm() {
        let find = |index: Value| named("r", index.to_string().as_bytes()).unwrap();
        let wanted = Named::Manifest(Digest::of(b"b"));
        assert_eq!(find(index(&[("amd64", b"a"), ("wasm", b"b"), ("unknown", b"c")])), wanted);
        assert_eq!(find(index(&[("unknown", b"b")])), wanted);
        let mut typed = index(&[("amd64", b"a"), ("any", b"b")]);
        typed["manifests"][1]["artifactType"] = json!(CONFIG);
        assert_eq!(find(typed), wanted);
    }

    #[test]
    fn artifacts_of_other_kinds_are_named() {
        let image = "application/vnd.oci.image.config.v1+json";
        let tar = entry("application/vnd.oci.image.layer.v1.tar+gzip");
        let mut sbom = artifact("application/vnd.oci.empty.v1+json", &[entry("application/spdx+json")]);
        sbom["artifactType"] = json!("application/spdx+json");
        let mut odd = entry("application/wasm");
        odd["digest"] = json!("sha512:12");
        for (manifest, words) in [
            (
                artifact(image, std::slice::from_ref(&tar)),
                "layers[0].mediaType is application/vnd.oci.image.layer.v1.tar+gzip, not application/wasm (its config is application/vnd.oci.image.config.v1+json)",
            ),
            (artifact(image, &[tar.clone(), tar]), "layers has 2 entries"),
            (artifact(image, &[entry("application/wasm"), entry("application/wasm")]), "layers has 2 entries"),
            (sbom, "(the artifact's type is application/spdx+json)"),
            (artifact(image, &[]), "layers is empty"),
            (json!({"schemaVersion": 1, "fsLayers": []}), "layers is empty"),
            (json!({"schemaVersion": 2, "manifests": []}), "lists 0 artifacts (an index)"),
            (index(&[("amd64", b"a"), ("arm64", b"b")]), "of which 0 are of architecture wasm, where one must be"),
            (index(&[("wasm", b"a"), ("wasm", b"b")]), "of which 2 are of architecture wasm, where one must be"),
            (index(&[("wasm", b"a")]), "lists manifests inside of a list; name one of them by its digest"),
            (artifact(image, &[odd]), "manifest: layers[0].digest: sha512:12"),
            (
                artifact(image, &[json!({"mediaType": "application/wasm", "digest": "x", "size": -1})]),
                "manifest: layers[0].size",
            ),
            (json!("hello"), "manifest: ."),
        ] {
            let error = try_layer(&manifest).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
            assert!(error.starts_with("module oci://host/rules:v1: "), "{error}");
        }
        assert!(layer("r", b"<html>").unwrap_err().to_string().contains("a registry's"));
    }

    #[test]
    fn foreign_text_cannot_play_with_terminals() {
        let error = try_layer(&artifact("x", &[entry("\u{1b}[31mred")])).unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }
}
