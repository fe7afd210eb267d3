//! The keys that an API server needs: TLS for itself, and a key pair for the
//! tokens of service accounts.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::directory::Directory;

/// Files with keys and certificates, in the directory of their server.
pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) accounts_private: PathBuf,
    pub(super) accounts_public: PathBuf,
}

impl Certificates {
    pub(super) fn write(directory: &Directory) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A name of its own, or the server's certificate would look self-signed.
        authority.distinguished_name.push(DnType::CommonName, "polaris2istio tests");
        let authority = CertifiedIssuer::self_signed(authority, new_key()).expect("valid parameters");
        let key = new_key();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate = CertificateParams::new(names)
            .and_then(|parameters| parameters.signed_by(&key, &authority))
            .expect("valid parameters");
        let accounts = new_key();
        Self {
            authority: directory.write("ca.crt", authority.pem()),
            certificate: directory.write("server.crt", certificate.pem()),
            key: directory.write("server.key", key.serialize_pem()),
            accounts_private: directory.write("accounts.key", accounts.serialize_pem()),
            accounts_public: directory.write("accounts.pub", accounts.public_key_pem()),
        }
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the machine has entropy")
}
