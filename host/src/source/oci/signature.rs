//! Cosign signatures: whether one is made by a key, over the manifest in question.
//!
//! Cosign signs the digest of a manifest in two layouts: a small document of its own ("simple signing"), or an in-toto statement in
//! an envelope ("bundle"). Of either the part that is signed names the digest, and nothing else of it is believed.
//! <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>, <https://github.com/secure-systems-lab/dsse>

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::source::SourceError;
use crate::text;

/// The bytes before the point of a P-256 key (SubjectPublicKeyInfo, RFC 5480).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// No key file is longer; a larger one is a mistake.
const LIMIT: u64 = 16 << 10;

const SIMPLE: &str = "cosign container image signature";
const STATEMENT: &str = "application/vnd.in-toto+json";
/// The predicate type of a statement that is a signature. Others (of how something was built, of what is in it) approve of nothing.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// A public key that modules must be signed by.
#[derive(Debug)]
pub(super) struct Key {
    point: Vec<u8>,
}

impl Key {
    /// Reads `cosign.pub`.
    pub(super) fn read(path: &Path) -> Result<Self, SourceError> {
        let unfit = |problem| SourceError::ModuleKey { path: path.into(), problem };
        let length = std::fs::metadata(path).map_err(|error| unfit(error.to_string()))?.len();
        if length > LIMIT {
            return Err(unfit(format!("it is larger than {LIMIT} bytes")));
        }
        let pem = std::fs::read(path).map_err(|error| unfit(error.to_string()))?;
        Self::parse(&pem).map_err(|problem| unfit(problem.into()))
    }

    fn parse(pem: &[u8]) -> Result<Self, &'static str> {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(text::without_mark(pem));
        let key = key.map_err(|_| "it holds no public key in PEM")?;
        match key.strip_prefix(&P256) {
            Some(point) if point.len() == 65 => Ok(Self { point: point.into() }),
            _ => Err("its key is of another kind than ECDSA P-256"),
        }
    }

    fn made(&self, signature: &str, message: &[u8]) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point).verify(message, &signature).is_ok()
    }
}

/// A signature as it is kept with a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Signature {
    /// The signed document and its signature, in base64 as it comes.
    Simple { document: String, signature: String },
    /// A bundle as it is.
    Bundle(String),
}

#[derive(Deserialize)]
struct Document {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: Sha256,
}

#[derive(Deserialize)]
struct Sha256 {
    sha256: String,
}

impl Signature {
    /// Whether the key signed this manifest.
    pub(super) fn proves(&self, key: &Key, manifest: Digest) -> bool {
        match self {
            Self::Simple { document, signature } => {
                key.made(signature, document.as_bytes()) && is_document(document, manifest)
            }
            Self::Bundle(bundle) => is_bundle(bundle, key, manifest).unwrap_or(false),
        }
    }
}

fn is_document(document: &str, manifest: Digest) -> bool {
    serde_json::from_str(document).is_ok_and(|Document { critical: Critical { image, kind } }| {
        kind == SIMPLE && image.digest == manifest.to_string()
    })
}

fn is_bundle(bundle: &str, key: &Key, manifest: Digest) -> Option<bool> {
    let Bundle { dsse_envelope: envelope } = serde_json::from_str(bundle).ok()?;
    let payload = STANDARD.decode(&envelope.payload).ok()?;
    // The type is signed along, so that one kind of text cannot be passed off as another.
    let kind = &envelope.payload_type;
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(&payload);
    if kind != STATEMENT || !envelope.signatures.iter().take(8).any(|signed| key.made(&signed.sig, &message)) {
        return Some(false);
    }
    let Statement { subject, predicate_type } = serde_json::from_slice(&payload).ok()?;
    Some(predicate_type == SIGNED && subject.iter().any(|subject| subject.digest.sha256 == manifest.hex()))
}
