//! What shows of a component without calling it.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::Digest;
use crate::source::ModuleBytes;

/// A component's size, name by content, and its doors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Bytes.
    pub size: u64,
    /// Of the bytes.
    pub digest: Digest,
    /// What it wants of the host, by name; a module in use has none.
    pub imports: Vec<String>,
    /// What it offers, by name.
    pub exports: Vec<String>,
}

impl Facts {
    pub(super) fn of(candidate: &ModuleBytes, component: &Component, engine: &Engine) -> Self {
        let kind = component.component_type();
        Self {
            size: candidate.bytes.len() as u64,
            digest: candidate.digest,
            imports: kind.imports(engine).map(|(name, _)| name.to_string()).collect(),
            exports: kind.exports(engine).map(|(name, _)| name.to_string()).collect(),
        }
    }
}
