//! The default rules, as the build embedded them in this binary.

use bytes::Bytes;

use super::Candidate;

const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.wasm"));

pub(super) fn candidate() -> Candidate {
    Candidate::new(Bytes::from_static(MODULE), "embedded".into())
}
