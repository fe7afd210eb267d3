//! Files that are made to break the compiler: each is refused within the limits, and the process that asked goes on.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use polaris2istio::converter::{CompileLimits, Limits, LoadError, LoadedModule};
use polaris2istio::source::ModuleBytes;

use crate::guest;
use crate::request::{entry, is_well, service};

/// Limits with the compiler in a process of its own.
fn limits(seconds: u64, memory_bytes: u64) -> Limits {
    let program = Some(polaris2istio_tests::binary());
    Limits { compile: CompileLimits { memory_bytes, time: Duration::from_secs(seconds), program }, ..Limits::default() }
}

fn load(bytes: Vec<u8>, limits: Limits) -> Result<LoadedModule, LoadError> {
    LoadedModule::new(&ModuleBytes::new(bytes, "hostile.wasm".into()), limits, Vec::new())
}

#[track_caller]
fn refuse(bytes: Vec<u8>, limits: Limits, expected: impl FnOnce(&LoadError) -> bool, text: &str) {
    let Err(error) = load(bytes, limits) else { panic!("it was taken") };
    assert!(expected(&error), "{error:?}");
    assert!(error.to_string().contains(text), "`{error}` lacks `{text}`");
}

/// A component with a core module of these fields.
fn component(fields: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {fields}))")).unwrap()
}

#[test]
fn more_parts_than_a_program_has() {
    let locals = "(local i32) ".repeat(12_501);
    let many = format!("(func {})", "(local i64) ".repeat(12_000)).repeat(334);
    for (fields, text) in [
        (format!("(func {locals})"), "12501 local variables in one function, more than the 12500"),
        (many, "local variables, more than the 4000000"),
        ("(func) ".repeat(200_001), "200001 functions, more than the 200000"),
        (format!("(func {})", "nop ".repeat(1 << 20)), "bytes in one function, more than the 1048576"),
        ("(memory 1) ".repeat(9), "9 memories, more than the 8"),
        ("(table 1 funcref) ".repeat(9), "9 tables, more than the 8"),
    ] {
        let excessive = |error: &LoadError| matches!(error, LoadError::Excessive { .. });
        refuse(component(&fields), Limits::default(), excessive, text);
    }
}

/// Within the counts, and still too much: nothing but the limits of the compiler's own process ends these.
fn heavy() -> Vec<u8> {
    let mut fields = String::new();
    for _ in 0..4 {
        let body =
            "(local.set 0 (i64.mul (i64.rotl (local.get 0) (i64.const 77)) (i64.const 123456789))) ".repeat(40_000);
        write!(fields, "(func (param i64) {body})").unwrap();
    }
    component(&fields)
}

#[test]
fn a_compiler_that_takes_long_is_ended() {
    let late = |error: &LoadError| matches!(error, LoadError::CompilerTime { .. });
    refuse(heavy(), limits(1, 4 << 30), late, "more than 1s of a processor; make it smaller");
}

#[test]
fn a_compiler_that_takes_memory_is_ended() {
    let hungry = |error: &LoadError| matches!(error, LoadError::CompilerMemory { .. });
    refuse(heavy(), limits(120, 32 << 20), hungry, "more than 33554432 bytes of memory; make it smaller");
}

#[test]
fn a_program_that_is_not_there() {
    let compile = CompileLimits { program: Some("/nonexistent/polaris2istio".into()), ..CompileLimits::default() };
    let broken = |error: &LoadError| matches!(error, LoadError::Compiler { .. });
    let foreign = std::fs::read(guest::misbehaving()).unwrap();
    let without = Limits { compile, ..Limits::default() };
    refuse(foreign, without.clone(), broken, "/nonexistent/polaris2istio: No such file");
    // Ours is compiled here, so that a container without /proc starts.
    LoadedModule::new(&ModuleBytes::embedded(), without, Vec::new()).unwrap();
}

#[test]
fn a_process_of_its_own_compiles_alike() {
    let shipped = limits(20, 192 << 20);
    let module = load(std::fs::read(guest::misbehaving()).unwrap(), shipped.clone()).unwrap();
    assert!(is_well(&module.call(&service(None), &entry(), None).unwrap()));
    let broken = half(guest::misbehaving());
    let (Err(here), Err(there)) = (load(broken.clone(), Limits::default()), load(broken, shipped)) else {
        panic!("half a component was taken");
    };
    assert_eq!(here.to_string(), there.to_string());
}

fn half(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(bytes.len() / 2);
    bytes
}
