//! The files that TLS needs, and when one of them is another.
//!
//! Certificates are renewed under a running program, some of them every few days, so the files are read again when TLS fails.

use std::path::{Path, PathBuf};

use rustls::ClientConfig;

use crate::registry::RegistryError;
use crate::tls::{self, TlsError};

const AUTHORITY: &str = "authority's certificate";
const CERTIFICATE: &str = "client certificate";
const KEY: &str = "client key";

/// The files that say whom to trust and what to show, all of it in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates that are trusted beside the system's.
    pub authority: Option<PathBuf>,
    /// A certificate and its key, for a server that asks for them.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The contents of the files. Never shown: there is a key in it.
#[derive(PartialEq, Eq)]
pub(super) struct Material {
    authority: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl TlsFiles {
    pub(super) fn read(&self) -> Result<Material, RegistryError> {
        let authority = self.authority.as_deref().map(|path| read(path, AUTHORITY)).transpose()?;
        let identity = match &self.identity {
            Some((certificate, key)) => Some((read(certificate, CERTIFICATE)?, read(key, KEY)?)),
            None => None,
        };
        Ok(Material { authority, identity })
    }

    /// The configuration of a client.
    pub(super) fn config(&self, material: &Material) -> Result<ClientConfig, RegistryError> {
        let identity = material.identity.as_ref().map(|(certificate, key)| (&**certificate, &**key));
        tls::client(material.authority.as_deref(), identity).map_err(|error| {
            let (what, path) = match (&error, &self.authority, &self.identity) {
                (TlsError::Authority(_), Some(path), _) => (AUTHORITY, path.clone()),
                (TlsError::Identity(_), _, Some((certificate, _))) => (CERTIFICATE, certificate.clone()),
                _ => return RegistryError::Client { problem: error.to_string() },
            };
            RegistryError::TlsFile { what, path, problem: error.to_string() }
        })
    }
}

fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, RegistryError> {
    tls::read(path).map_err(|problem| RegistryError::TlsFile { what, path: path.into(), problem })
}
