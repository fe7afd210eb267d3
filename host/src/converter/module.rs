//! A module that was checked and compiled, ready to be called any number of times.

use wasmtime::component::Component;

use polaris2istio_core::model::ModuleInfo;

use super::bindings::{ConverterPre, wit};
use super::call;
use super::error::LoadError;
use super::sandbox::{Guest, Sandbox};
use super::source::{Candidate, Digest};

/// The WIT package whose world `converter` a module must export; its version is part of the contract.
pub const PACKAGE: &str = "polaris2istio:conversion@0.1.0";
const EXPORT: &str = "polaris2istio:conversion/conversion@0.1.0";

/// A checked and compiled module.
pub struct Module {
    pub(super) pre: ConverterPre<Guest>,
    /// What it says of itself.
    pub info: ModuleInfo,
    /// Of its bytes: what it is known by.
    pub digest: Digest,
    /// Where it came from, as shown to people.
    pub origin: String,
}

impl Module {
    pub(super) fn compile(sandbox: &Sandbox, candidate: &Candidate) -> Result<Self, LoadError> {
        let (bytes, module) = (&candidate.bytes, candidate.origin.clone());
        check_size(&module, bytes, sandbox.limits.component_bytes)?;
        check_layer(&module, bytes)?;
        let component = match sandbox.compile(bytes) {
            Ok(component) => component,
            Err(error) => return Err(uncompiled(sandbox, module, format!("{error:#}"))),
        };
        check_world(sandbox, &module, &component)?;
        let pre = match sandbox.linker.instantiate_pre(&component).and_then(ConverterPre::new) {
            Ok(pre) => pre,
            Err(error) => return Err(LoadError::WrongWorld { module, detail: format!("{error:#}") }),
        };
        if let Err(detail) = call::check_types(sandbox, &pre) {
            return Err(LoadError::WrongWorld { module, detail });
        }
        match call::describe(sandbox, &pre) {
            Ok(info) => Ok(Self { pre, info: owned(info), digest: candidate.digest, origin: module }),
            Err(source) => Err(LoadError::Describe { module, source }),
        }
    }
}

/// wasmtime tells a memory that does not fit the pool by its text alone; a test holds it.
fn uncompiled(sandbox: &Sandbox, module: String, detail: String) -> LoadError {
    if detail.contains("exceeds the limit of") {
        return LoadError::Oversized { module, limit: sandbox.limits.memory_bytes, detail };
    }
    LoadError::Invalid { module, detail }
}

fn owned(info: wit::ModuleInfo) -> ModuleInfo {
    ModuleInfo { name: info.name, version: info.version, summary: info.summary }
}

fn check_size(module: &str, bytes: &[u8], limit: u64) -> Result<(), LoadError> {
    let size = bytes.len() as u64;
    if size > limit { Err(LoadError::TooLarge { module: module.into(), size, limit }) } else { Ok(()) }
}

/// Tells garbage and core modules apart from components by the eight bytes that every binary starts with
/// (<https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md>).
fn check_layer(module: &str, bytes: &[u8]) -> Result<(), LoadError> {
    match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(LoadError::CoreModule { module: module.into() }),
        [0, b'a', b's', b'm', ..] => Ok(()),
        [] => Err(LoadError::NotWasm { module: module.into(), found: "an empty file".into() }),
        _ => {
            let start: String = bytes.iter().take(8).map(|byte| byte.escape_ascii().to_string()).collect();
            Err(LoadError::NotWasm { module: module.into(), found: format!("it starts with \"{start}\"") })
        }
    }
}

fn check_world(sandbox: &Sandbox, module: &str, component: &Component) -> Result<(), LoadError> {
    let kind = component.component_type();
    let imports: Vec<_> = kind.imports(&sandbox.engine).map(|(name, _)| name.to_string()).collect();
    if !imports.is_empty() {
        return Err(LoadError::Imports { module: module.into(), imports });
    }
    let exports: Vec<_> = kind.exports(&sandbox.engine).map(|(name, _)| name.to_string()).collect();
    if exports.iter().any(|name| name == EXPORT) {
        return Ok(());
    }
    let has = if exports.is_empty() { "nothing".into() } else { exports.join(", ") };
    Err(LoadError::WrongWorld { module: module.into(), detail: format!("does not export {EXPORT} (it exports {has})") })
}
