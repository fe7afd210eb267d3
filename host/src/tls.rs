//! TLS of a client: the authorities that it trusts, and the certificate that it shows. From PEM texts, so that the caller
//! says which file is at fault and knows when one has changed.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use crate::text;

/// Certificates and keys are some kilobytes long; a larger file is a mistake.
const LIMIT: u64 = 1 << 20;

/// Reads a file of certificates, or with a key. The error says why it cannot be.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > LIMIT {
        return Err(format!("it is larger than {LIMIT} bytes"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

/// The reasons why there can be no TLS. The texts repeat nothing of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The authorities' certificates cannot be used.
    #[error("{0}")]
    Authority(String),
    /// The client's certificate or key cannot be used.
    #[error("{0}")]
    Identity(String),
    /// The library refuses its own defaults.
    #[error("{0}")]
    Library(String),
}

/// The configuration of a client that trusts the system's authorities and those of `authority` (PEM), and that shows
/// `identity` (its certificates and their key, PEM) to a server that asks.
///
/// The system may have none, as in an image without any: then only those given are trusted.
pub fn client(authority: Option<&[u8]>, identity: Option<(&[u8], &[u8])>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = authority {
        trust(&mut roots, pem).map_err(TlsError::Authority)?;
    }
    let builder = builder(roots)?;
    let Some((certificates, key)) = identity else { return Ok(builder.with_no_client_auth()) };
    let certificates = parse(certificates).map_err(TlsError::Identity)?;
    // The parser's words on a key might repeat a part of it.
    let key = PrivateKeyDer::from_pem_slice(text::without_mark(key))
        .map_err(|_| TlsError::Identity("the key is no PEM private key".into()))?;
    let matched = builder.with_client_auth_cert(certificates, key);
    matched.map_err(|error| TlsError::Identity(format!("certificate and key do not go together: {error}")))
}

/// The configuration of a client that trusts no one.
pub fn nobody() -> Result<ClientConfig, TlsError> {
    Ok(builder(RootCertStore::empty())?.with_no_client_auth())
}

fn builder(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    // The provider is named, as a process may have none by default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|error| TlsError::Library(error.to_string()))?.with_root_certificates(roots))
}

fn trust(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    for certificate in parse(pem)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text::without_mark(pem)).collect();
    let certificates = certificates.map_err(|error| error.to_string())?;
    if certificates.is_empty() { Err("it holds no certificate".into()) } else { Ok(certificates) }
}
