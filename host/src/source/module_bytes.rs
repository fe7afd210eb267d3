//! Bytes that may become the module.

use bytes::Bytes;

use crate::digest::Digest;

/// What a source has now. Whether it is a module at all is for others to judge.
#[derive(Clone, PartialEq, Eq)]
pub struct ModuleBytes {
    /// The component.
    pub bytes: Bytes,
    /// Of [`Self::bytes`].
    pub digest: Digest,
    /// Where the bytes came from, for people: the source, and what it was resolved to.
    pub origin: String,
}

impl ModuleBytes {
    /// The default rules, as the build embedded them in this binary.
    pub fn embedded() -> Self {
        super::embedded::candidate()
    }

    /// Bytes from some place, which people are to recognise by `origin`.
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
