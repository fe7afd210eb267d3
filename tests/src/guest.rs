//! Components that are not ours: one that misbehaves as it is told, compiled as an operator would compile one, and dummies
//! of any world.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

const TARGET: &str = "wasm32-unknown-unknown";

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// Where a test's own builds go: beside what cargo builds, so that a second run builds nothing.
pub fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors().nth(3).expect("a test lies in target/debug/deps").join("tmp/guests")
}

/// A cargo that knows nothing of what the outer one was told about its own target.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars() {
        let foreign = ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTC", "CARGO_ENCODED_RUSTFLAGS"];
        let prefixes = ["CARGO_BUILD_", "CARGO_TARGET_", "CARGO_PROFILE_"];
        if foreign.contains(&name.as_str()) || prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The misbehaving guest.
pub fn misbehaving() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build(""))
}

/// The misbehaving guest as another module: with other bytes, and with this behaviour from the start.
pub fn variant(behaviour: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(misbehaving()).unwrap();
    let mark = b"VARIANT:";
    let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(mark)).collect();
    assert_eq!(places.len(), 1, "the mark is there once");
    let start = places[0] + mark.len();
    assert!(behaviour.len() <= 40);
    bytes[start..start + behaviour.len()].copy_from_slice(behaviour.as_bytes());
    bytes
}

/// The misbehaving guest with one of its features.
pub fn build(feature: &str) -> PathBuf {
    build_by(&mut cargo(), if feature.is_empty() { "plain" } else { feature }, feature)
}

/// The misbehaving guest with the names of its functions, which are left out otherwise.
pub fn named() -> PathBuf {
    build_by(cargo().env("CARGO_PROFILE_COMPONENT_STRIP", "none"), "named", "")
}

/// One directory for each: two builds at once would take each other's file.
fn build_by(cargo: &mut Command, directory: &str, feature: &str) -> PathBuf {
    let target = target().join(directory);
    let status = cargo
        .args(["rustc", "--quiet", "--package", "polaris2istio-guest-misbehaving", "--lib"])
        .args(["--crate-type", "cdylib", "--profile", "component", "--target", TARGET, "--features", feature])
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the guest did not build; if its target is missing: rustup target add {TARGET}");
    let module = target.join(TARGET).join("component/polaris2istio_guest_misbehaving.wasm");
    let path = target.join("guest.wasm");
    std::fs::write(&path, encode(&std::fs::read(module).unwrap())).unwrap();
    path
}

/// A core module as a component.
pub fn encode(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default().module(module).unwrap().validate(true).encode().unwrap()
}

/// A core module that fits the first world of this text, and traps whatever is called.
pub fn dummy_module(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("dummy.wit", wit).unwrap();
    let world = *resolve.packages[package].worlds.first().expect("a world").1;
    let mut module =
        wit_component::dummy_module(&resolve, world, ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// The same as a component.
pub fn dummy(wit: &str) -> Vec<u8> {
    encode(&dummy_module(wit))
}
