//! The default rules, as the build embedded them in this binary.

use bytes::Bytes;

use super::ModuleBytes;

const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.wasm"));

pub(super) fn candidate() -> ModuleBytes {
    ModuleBytes::new(Bytes::from_static(MODULE), "embedded".into())
}
