//! What a registry of modules answers (manifests, challenges, tokens), and Docker's config.json.

use polaris2istio::source::{Reference, decode_challenge, decode_docker_config, decode_manifest, decode_token};

use crate::short;

pub(crate) fn manifest(data: &[u8]) {
    short(decode_manifest(data));
}

pub(crate) fn challenge(data: &[u8]) {
    if let Some(Some(address)) = short(decode_challenge(data, "team/module")) {
        assert!(address.starts_with("http://") || address.starts_with("https://"), "{address}");
        assert!(address.contains("scope=repository"), "{address}");
    }
}

pub(crate) fn token(data: &[u8]) {
    if let Some(header) = short(decode_token(data)) {
        assert!(header.starts_with(b"Bearer ") && !header.iter().any(|byte| *byte < b' '), "{header:?}");
    }
}

pub(crate) fn docker_config(data: &[u8]) {
    let reference: Reference = "registry.example/team/module:1".parse().expect("a reference");
    short(decode_docker_config(data, &reference));
}
