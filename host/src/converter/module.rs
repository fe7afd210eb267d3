//! A module that was checked and compiled, ready to be called any number of times.

use polaris2istio_core::model::ModuleInfo;

use super::bindings::{ConverterPre, EXPORT, wit};
use super::call;
use super::census::{self, Excess};
use super::compile_process::CompileError;
use super::error::LoadError;
use super::facts::Facts;
use super::sandbox::{Guest, Sandbox};
use crate::source::ModuleBytes;
use crate::text;

/// The longest name, version or summary, in characters.
const DESCRIPTION: usize = 200;
/// Imports or exports that an error names.
const NAMES: usize = 10;
/// The longest reason of a compiler, in characters: it repeats names of the file.
const REASON: usize = 1_000;

/// A checked and compiled module.
pub struct Module {
    pub(super) pre: ConverterPre<Guest>,
    /// The module's description of itself.
    pub info: ModuleInfo,
    /// The facts that it shows without being called.
    pub facts: Facts,
}

impl Module {
    pub(super) fn compile(sandbox: &Sandbox, module_bytes: &ModuleBytes) -> Result<Self, LoadError> {
        let (bytes, module) = (&module_bytes.bytes, module_bytes.origin.clone());
        check_size(&module, bytes, sandbox.limits.component_bytes)?;
        check_layer(&module, bytes)?;
        if let Some(Excess { part, found, limit }) = census::excess(bytes) {
            return Err(LoadError::Excessive { module, part, found, limit });
        }
        let component = match sandbox.component(bytes, module_bytes.is_embedded()) {
            Ok(component) => component,
            Err(error) => return Err(uncompiled(sandbox, module, error)),
        };
        let facts = Facts::of(module_bytes, &component, &sandbox.engine);
        check_world(&module, &facts)?;
        let pre = match sandbox.linker.instantiate_pre(&component).and_then(ConverterPre::new) {
            Ok(pre) => pre,
            Err(error) => {
                return Err(LoadError::WrongWorld { module, detail: text::shown(&format!("{error:#}"), REASON) });
            }
        };
        if let Err(detail) = call::check_types(sandbox, &pre) {
            return Err(LoadError::WrongWorld { module, detail: text::shown(&detail, REASON) });
        }
        match call::describe(sandbox, &pre) {
            Ok(info) => Ok(Self { pre, info: owned(info), facts }),
            Err(source) => Err(LoadError::Describe { module, source }),
        }
    }
}

/// wasmtime marks a memory that does not fit the pool, and a feature that is off, only by the text of its error; tests hold it.
fn uncompiled(sandbox: &Sandbox, module: String, error: CompileError) -> LoadError {
    let limits = &sandbox.limits;
    let shown = |detail: String| text::shown(&detail, REASON);
    match error {
        CompileError::Invalid(detail) if detail.contains("exceeds the limit of") => {
            LoadError::Oversized { module, limit: limits.memory_bytes, detail: shown(detail) }
        }
        CompileError::Invalid(detail) if detail.contains("async") => LoadError::Async { module, detail: shown(detail) },
        CompileError::Invalid(detail) => LoadError::Invalid { module, detail: shown(detail) },
        CompileError::Memory => LoadError::CompilerMemory { module, limit: limits.compile.memory_bytes },
        CompileError::Time => LoadError::CompilerTime { module, limit: limits.compile.time },
        CompileError::Broken(detail) => LoadError::Compiler { module, detail: shown(detail) },
    }
}

fn owned(info: wit::ModuleInfo) -> ModuleInfo {
    let shown = |text: &str| text::shown(text, DESCRIPTION);
    ModuleInfo { name: shown(&info.name), version: shown(&info.version), summary: shown(&info.summary) }
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

/// The first of some names, and how many there are more.
fn some(names: &[String]) -> Vec<String> {
    let more = names.len().checked_sub(NAMES).filter(|more| *more > 0);
    names.iter().take(NAMES).cloned().chain(more.map(|more| format!("and {more} more"))).collect()
}

fn check_world(module: &str, facts: &Facts) -> Result<(), LoadError> {
    let Facts { imports, exports, .. } = facts;
    if !imports.is_empty() {
        return Err(LoadError::Imports { module: module.into(), imports: some(imports) });
    }
    if exports.iter().any(|name| name == EXPORT) {
        return Ok(());
    }
    let has = if exports.is_empty() { "nothing".into() } else { some(exports).join(", ") };
    let (interface, version) = EXPORT.split_once('@').unwrap_or((EXPORT, ""));
    let other = exports.iter().find_map(|name| name.strip_prefix(interface)?.strip_prefix('@'));
    let detail = match other {
        Some(other) => {
            format!(
                "speaks version {other} of the contract (it exports {has}), and this polaris2istio speaks {version}"
            )
        }
        None => format!("does not export {EXPORT} (it exports {has})"),
    };
    Err(LoadError::WrongWorld { module: module.into(), detail })
}
