//! Whom to trust: the system's certificates, and those of a file.

use std::path::Path;

use rustls::ClientConfig;

use crate::source::SourceError;
use crate::tls::{self, TlsError};

/// The TLS configuration of a client.
pub(super) fn config(reference: &str, authority: Option<&Path>) -> Result<ClientConfig, SourceError> {
    let unfit =
        |problem: String| SourceError::Authority { path: authority.map(Into::into).unwrap_or_default(), problem };
    let pem = authority.map(std::fs::read).transpose().map_err(|error| unfit(error.to_string()))?;
    tls::client(pem.as_deref(), None).map_err(|error| match error {
        TlsError::Authority(problem) => unfit(problem),
        error => SourceError::Client { origin: reference.into(), problem: error.to_string() },
    })
}
