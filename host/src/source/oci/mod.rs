//! A module in an OCI registry: resolved, checked, downloaded, kept.
//!
//! The few requests of the distribution specification that this takes are made here by hand, with the HTTP client that
//! the registry is asked with, too. A registry is not trusted: the crate `oci-client` (0.18) reads manifests,
//! tokens and errors of any length into memory and follows redirects from HTTPS to HTTP, and neither can be set.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

mod artifact;
mod credentials;
mod decoders;
mod follow;
mod http;
mod manifest;
mod push;
mod session;
mod signature;
mod signed;
mod token;

pub(super) use artifact::fetch;
pub use decoders::{decode_challenge, decode_docker_config, decode_manifest, decode_token};
pub(super) use follow::follow;
pub use push::{Pushed, push};
