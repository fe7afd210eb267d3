//! Files that are made to break the compiler: each is refused within the limits, and the process that asked goes on.

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

/// A number, as WebAssembly writes it.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&number(bytes.len()), bytes].concat()
}

/// A section: how many parts, and these.
pub(crate) fn section(id: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    [&[id][..], &sized(&[number(parts.len()), parts.concat()].concat())].concat()
}

/// A function with so many local variables, and this code.
pub(crate) fn function(locals: usize, code: &[u8]) -> Vec<u8> {
    sized(&[&[1][..], &number(locals), b"\x7f", code, b"\x0b"].concat())
}

/// A component with a core module of these sections, encoded here: a text of this length would take longer to parse.
pub(crate) fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    let module = [b"\0asm\x01\0\0\0", &sections.concat()[..]].concat();
    [b"\0asm\x0d\0\x01\0\x01", &sized(&module)[..]].concat()
}

/// A component with these functions, which take a 64-bit number each.
pub(crate) fn of_functions(functions: &[Vec<u8>]) -> Vec<u8> {
    let kind = vec![0x60, 1, 0x7e, 0];
    component(&[section(1, &[kind]), section(3, &vec![vec![0]; functions.len()]), section(10, functions)])
}

#[test]
fn more_parts_than_a_program_has() {
    for (bytes, text) in [
        (of_functions(&[function(12_501, b"")]), "12501 local variables in one function, more than the 12500"),
        (of_functions(&vec![function(12_000, b""); 334]), "4008000 local variables, more than the 4000000"),
        (of_functions(&vec![function(0, b""); 200_001]), "200001 functions, more than the 200000"),
        (of_functions(&[function(0, &[1; 1 << 20])]), "bytes in one function, more than the 1048576"),
        (component(&[section(5, &vec![vec![0, 1]; 9])]), "9 memories, more than the 8"),
        (component(&[section(4, &vec![vec![0x70, 0, 1]; 9])]), "9 tables, more than the 8"),
    ] {
        let excessive = |error: &LoadError| matches!(error, LoadError::Excessive { .. });
        refuse(bytes, Limits::default(), excessive, text);
    }
}

/// Within the counts, and still too much: 60,000 blocks that read and write 2,000 variables take the compiler a quarter of a minute
/// and 200 MiB, and nothing but the limits of its process ends it.
pub(crate) fn heavy() -> Vec<u8> {
    let variable = |at: usize| number(1 + at % 2_000);
    let block = |at: usize| {
        // (block (br_if 0 (local.get a)) (local.set c (local.get b)))
        let (a, b, c) = (variable(at), variable(at * 7), variable(at * 13));
        [b"\x02\x40\x20", &a[..], b"\x0d\0\x20", &b[..], b"\x21", &c[..], b"\x0b"].concat()
    };
    of_functions(&[function(2_000, &(0..60_000).flat_map(block).collect::<Vec<_>>())])
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

pub(crate) fn half(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(bytes.len() / 2);
    bytes
}
