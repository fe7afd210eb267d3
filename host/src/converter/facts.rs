//! The facts that a component shows without being called.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::Digest;
use crate::source::ModuleBytes;
use crate::text;

/// The longest name of an import or export that is shown, in characters.
const NAME: usize = 200;

/// A component's size, digest, imports and exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub size: u64,
    /// The digest of the bytes.
    pub digest: Digest,
    /// The names of its imports; a module in use has none.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
}

impl Facts {
    pub(super) fn of(module_bytes: &ModuleBytes, component: &Component, engine: &Engine) -> Self {
        let kind = component.component_type();
        Self {
            size: module_bytes.bytes.len() as u64,
            digest: module_bytes.digest,
            imports: kind.imports(engine).map(|(name, _)| text::shown(name, NAME)).collect(),
            exports: kind.exports(engine).map(|(name, _)| text::shown(name, NAME)).collect(),
        }
    }
}
