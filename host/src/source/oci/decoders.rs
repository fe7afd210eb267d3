//! The decoders of what a registry answers, and of Docker's configuration, by themselves: for whoever tries them on anything.
//! Each returns the words of its error, or what was understood.

use std::path::Path;

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use super::manifest::Named;
use super::token::{Access, Challenge};
use super::{credentials, manifest, token};
use crate::digest::Digest;
use crate::source::Reference;

/// The digest of the module that a manifest names, or of the manifest that an index names.
pub fn decode_manifest(body: &[u8]) -> Result<Digest, String> {
    let named = manifest::named("fuzz", body).map_err(|error| error.to_string())?;
    Ok(match named {
        Named::Module(layer) => layer.digest,
        Named::Manifest(digest) => digest,
    })
}

/// The address of the token server that a challenge names; `None` if it wants user and password.
pub fn decode_challenge(value: &[u8], repository: &str) -> Result<Option<String>, String> {
    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::from_bytes(value).ok().map(|value| (WWW_AUTHENTICATE, value)));
    Challenge::of(&headers, repository, Access::Pull).map(|challenge| match challenge {
        Challenge::Basic => None,
        Challenge::Bearer(address) => Some(address.into()),
    })
}

/// The header that a token server's answer makes.
pub fn decode_token(body: &[u8]) -> Result<Vec<u8>, String> {
    token::granted(body).map(|header| header.as_bytes().to_vec()).map_err(str::to_owned)
}

/// What is said of the credentials that a config.json has for a reference; never the credentials themselves.
pub fn decode_docker_config(text: &[u8], reference: &Reference) -> Result<String, String> {
    let found = credentials::decode(text, Path::new("config.json"), reference);
    found.map(|credentials| credentials.told).map_err(|error| error.to_string())
}
