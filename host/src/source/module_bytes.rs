//! Bytes that may become the module.

use bytes::Bytes;

use crate::digest::Digest;

const EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.wasm"));

/// The content of a source. Whether it is a module at all is for others to judge.
#[derive(Clone, PartialEq, Eq)]
pub struct ModuleBytes {
    pub bytes: Bytes,
    /// The digest of [`Self::bytes`].
    pub digest: Digest,
    /// The origin of the bytes, for the operator: the source, and the digest that it was resolved to.
    pub origin: String,
}

impl ModuleBytes {
    /// The default rules, as the build embedded them in this binary.
    pub fn embedded() -> Self {
        Self::new(Bytes::from_static(EMBEDDED), "embedded".into())
    }

    /// Whether these are the bytes of the default rules, wherever they came from.
    pub fn is_embedded(&self) -> bool {
        *self.bytes == *EMBEDDED
    }

    /// Bytes from some place, which the operator recognises by `origin`.
    pub fn new(bytes: impl Into<Bytes>, origin: String) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), bytes, origin }
    }
}

impl std::fmt::Debug for ModuleBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes, digest, origin } = self;
        write!(f, "ModuleBytes({origin}, {digest}, {} bytes)", bytes.len())
    }
}
