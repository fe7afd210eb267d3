//! Files that are no module of ours: each is refused with a text that names what is wrong and what to do.

use std::path::PathBuf;

use polaris2istio::converter::{Limits, LoadError, LoadedModule};

use crate::guest;

/// The world, with these lines in it and another body of the interface.
fn wit(package: &str, world: &str, interface: &str) -> String {
    format!("package {package};\ninterface conversion {{ {interface} }}\nworld converter {{ {world} }}")
}

const TWO: &str = "describe: func() -> string; convert: func(request: string) -> string;";

#[track_caller]
fn refuse(path: PathBuf, limits: Limits, expected: impl FnOnce(&LoadError) -> bool, parts: &[&str]) {
    let Err(error) = LoadedModule::new(&guest::module_bytes(&path), limits, Vec::new()) else {
        panic!("{} was taken", path.display());
    };
    assert!(expected(&error), "{error:?}");
    let text = error.to_string();
    for part in parts.iter().chain(&[path.to_str().unwrap()]) {
        assert!(text.contains(part), "`{text}` lacks `{part}`");
    }
}

#[track_caller]
fn check(bytes: &[u8], expected: impl FnOnce(&LoadError) -> bool, parts: &[&str]) {
    let file = tempfile::Builder::new().suffix(".wasm").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    refuse(file.path().into(), Limits::default(), expected, parts);
}

#[test]
fn imports() {
    let imports = |error: &LoadError| matches!(error, LoadError::Imports { .. });
    let own = wit("acme:rules@1.0.0", "import clock: interface { now: func() -> u64; } export conversion;", TWO);
    check(&guest::dummy(&own), imports, &["imports clock", "import nothing", "wasm32-unknown-unknown"]);
    let wasi = "package acme:rules;\nworld converter { import wasi:cli/environment@0.2.0; }\n\
                package wasi:cli@0.2.0 { interface environment { get: func() -> string; } }";
    check(&guest::dummy(wasi), imports, &["imports wasi:cli/environment@0.2.0", "without WASI"]);
}

#[test]
fn other_worlds() {
    let wrong = |error: &LoadError| matches!(error, LoadError::WrongWorld { .. });
    let ours = "the world `converter` of polaris2istio:conversion@0.2.0, which `polaris2istio module wit` prints";
    for version in ["0.1.0", "0.2.1", "0.3.0"] {
        let another = wit(&format!("polaris2istio:conversion@{version}"), "export conversion;", TWO);
        let exports = format!("it exports polaris2istio:conversion/conversion@{version}");
        check(&guest::dummy(&another), wrong, &[&exports, ours]);
    }
    let other = "package acme:other; world other { export run: func(); }";
    check(&guest::dummy(other), wrong, &["it exports run", ours]);
    check(&guest::dummy("package acme:other; world other { }"), wrong, &["it exports nothing", ours]);
}

/// The right names of other types: the world was changed without its version.
#[test]
fn other_types() {
    let wrong = |error: &LoadError| matches!(error, LoadError::WrongWorld { .. });
    let altered = wit("polaris2istio:conversion@0.2.0", "export conversion;", TWO);
    check(&guest::dummy(&altered), wrong, &["type mismatch", "polaris2istio module wit"]);
    let real = std::fs::read_to_string(guest::root().join("wit/converter.wit")).unwrap();
    let convert = "convert: func(request: request) -> result<outcome, failure>;";
    assert!(real.contains(convert));
    let altered = real.replace(convert, "convert: func(request: request) -> outcome;");
    check(&guest::dummy(&altered), wrong, &["type mismatch", "polaris2istio module wit"]);
    let lacking = real.replace(convert, "");
    check(&guest::dummy(&lacking), wrong, &["convert", "polaris2istio module wit"]);
    let altered = real.replace("hosts: list<string>,", "hosts: list<string>, tags: list<string>,");
    check(&guest::dummy(&altered), wrong, &["type mismatch", "polaris2istio module wit"]);
}

/// No call waits for anything, so there is nothing that async would be for.
#[test]
fn async_exports() {
    let real = std::fs::read_to_string(guest::root().join("wit/converter.wit")).unwrap();
    let altered = real.replace("convert: func(", "convert: async func(");
    let is_async = |error: &LoadError| matches!(error, LoadError::Async { .. });
    check(&guest::dummy(&altered), is_async, &["the component model's async", "--sync"]);
}

#[test]
fn a_core_module() {
    let core = |error: &LoadError| matches!(error, LoadError::CoreModule { .. });
    let module = guest::dummy_module("package acme:other; world other { }");
    check(&module, core, &["a core WebAssembly module", "wasm-tools component new"]);
    check(b"\0asm\x01\0\0\0", core, &["a core WebAssembly module"]);
}

#[test]
fn no_webassembly_at_all() {
    let foreign = |error: &LoadError| matches!(error, LoadError::NotWasm { .. });
    check(b"", foreign, &["an empty file", "the .wasm file"]);
    check(b"\0asm", |error| !foreign(error), &["not a valid component"]);
    check(b"PK\x03\x04 and so on", foreign, &["starts with \"PK\\x03\\x04", "the .wasm file"]);
    check(b"(component)", foreign, &["starts with \"(compone\""]);
}

#[test]
fn damaged_components() {
    let invalid = |error: &LoadError| matches!(error, LoadError::Invalid { .. });
    let whole = std::fs::read(guest::misbehaving()).unwrap();
    for length in [8, 100, whole.len() / 2, whole.len() - 1] {
        let expected =
            |error: &LoadError| invalid(error) || (length == 8 && matches!(error, LoadError::WrongWorld { .. }));
        check(&whole[..length], expected, &[]);
    }
    check(&whole[..whole.len() / 2], invalid, &["not a valid component", "copied whole"]);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2..][..64].fill(0xff);
    check(&flipped, invalid, &["not a valid component"]);
}

#[test]
fn an_over_large_file() {
    let large = |error: &LoadError| matches!(error, LoadError::TooLarge { limit: 1000, .. });
    let limits = Limits { component_bytes: 1000, ..Limits::default() };
    refuse(guest::misbehaving().into(), limits, large, &["more than the 1000 allowed", "--module-max-size"]);
}

#[test]
fn more_memory_than_allowed_from_the_start() {
    let over = |error: &LoadError| matches!(error, LoadError::Oversized { .. });
    refuse(guest::build("bulky"), Limits::default(), over, &["memory", "67108864", "--module-memory"]);
    let limits = Limits { memory_bytes: 128 << 20, ..Limits::default() };
    LoadedModule::new(&guest::module_bytes(&guest::build("bulky")), limits, Vec::new()).unwrap();
}

#[test]
fn who_cannot_say_what_he_is() {
    let mute = |error: &LoadError| matches!(error, LoadError::Describe { .. });
    refuse(
        guest::build("mute"),
        Limits::default(),
        mute,
        &["does not answer `describe`", "trapped", "a defect of the module"],
    );
}
