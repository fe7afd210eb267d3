//! Builds `core/` to the component that the binary embeds as its default module.
//!
//! A nested cargo compiles the crate for a target without an operating system, so that the component imports nothing;
//! wit-component then wraps the core module. `POLARIS2ISTIO_DEFAULT_MODULE` names a component that is embedded instead.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

const PREBUILT: &str = "POLARIS2ISTIO_DEFAULT_MODULE";
/// Names the commit that is built.
const COMMIT: &str = "POLARIS2ISTIO_COMMIT";
const TARGET: &str = "wasm32-unknown-unknown";
/// The component's stack, in bytes. The rules do not recurse; the linker's own megabyte would be wiped after every call, and
/// push what a call does use beyond the memory that is kept from one to the next.
const STACK: usize = 64 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-env-changed={PREBUILT}");
    let out = PathBuf::from(var("OUT_DIR")?);
    let component = match std::env::var_os(PREBUILT) {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", Path::new(&path).display());
            std::fs::read(&path).map_err(|error| format!("{PREBUILT}={}: {error}", Path::new(&path).display()))?
        }
        None => encode(&build_core(&out)?)?,
    };
    std::fs::write(out.join("default.wasm"), component)?;
    describe();
    std::fs::write(out.join("templates.rs"), templates()?)?;
    Ok(())
}

/// The files that `module new` writes: the examples, and the default rules as a library. Without their tests and what was built.
fn templates() -> Result<String, Box<dyn std::error::Error>> {
    let host = PathBuf::from(var("CARGO_MANIFEST_DIR")?);
    let root = host.parent().ok_or("host/ lies in the workspace")?;
    let mut files = vec![root.join("core/Cargo.toml"), root.join("wit/examples/lib.sh")];
    collect(&root.join("core/src"), &mut files)?;
    for language in ["c", "go", "javascript", "rust", "typescript"] {
        collect(&root.join("wit/examples").join(language), &mut files)?;
    }
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        text += &format!("    ({:?}, include_str!({file:?})),\n", file.strip_prefix(root)?);
    }
    Ok(text + "]\n")
}

/// The files of a directory and those below it, but for what was built.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if !path.is_dir() {
            files.push(path);
        } else if !path.ends_with("target") {
            // A file that comes or goes; the example's own directory would be read with all that was built in it.
            println!("cargo::rerun-if-changed={}", path.display());
            collect(&path, files)?;
        }
    }
    Ok(())
}

/// The facts that `version` tells beside the release. The commit is given by deploy/image: to ask git here would build the crate anew with
/// every commit.
fn describe() {
    println!("cargo::rerun-if-env-changed={COMMIT}");
    let commit = std::env::var(COMMIT).ok().filter(|commit| !commit.is_empty());
    println!("cargo::rustc-env={COMMIT}={}", commit.as_deref().unwrap_or("not known"));
    let said = std::env::var_os("RUSTC").and_then(|rustc| Command::new(rustc).arg("--version").output().ok());
    let toolchain = said.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    println!("cargo::rustc-env=POLARIS2ISTIO_TOOLCHAIN={}", toolchain.trim());
}

/// Compiles `core/` to a core module and returns its bytes.
fn build_core(out: &Path) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let host = PathBuf::from(var("CARGO_MANIFEST_DIR")?);
    let root = host.parent().ok_or("host/ lies in the workspace")?;
    for input in ["core/src", "core/Cargo.toml", "wit/converter.wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let target_dir = shared(out, root);
    let mut cargo = Command::new(var("CARGO")?);
    cargo
        .args(["rustc", "--package", "polaris2istio-core", "--lib", "--crate-type", "cdylib"])
        .args(["--profile", "component", "--target", TARGET])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir);
    scrub(&mut cargo);
    let mut flags = remaps(root);
    flags.push(format!("-Clink-arg=-zstack-size={STACK}"));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    let status = cargo.status()?;
    if !status.success() {
        return Err(format!(
            "the default module did not build ({status}); if the target is missing: rustup target add {TARGET}"
        )
        .into());
    }
    let module = target_dir.join(TARGET).join("component/polaris2istio_core.wasm");
    Ok(std::fs::read(module)?)
}

/// The inner build's own directory within the outer's target directory, the same for all profiles and targets of the outer one:
/// what it makes does not depend on them. For each checkout another, since its path is among the flags.
fn shared(out: &Path, root: &Path) -> PathBuf {
    // Cargo marks the root of a target directory, for tools that make backups.
    let target = out.ancestors().find(|directory| directory.join("CACHEDIR.TAG").exists()).unwrap_or(out);
    let mut checkout = DefaultHasher::new();
    root.hash(&mut checkout);
    target.join(format!("component/{:016x}", checkout.finish()))
}

/// What the outer cargo was told about its own target must not reach the inner one.
fn scrub(cargo: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let foreign = ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTC", "CARGO_ENCODED_RUSTFLAGS"];
        let prefixes = ["CARGO_BUILD_", "CARGO_TARGET_", "CARGO_PROFILE_", "CARGO_FEATURE_", "CARGO_CFG_"];
        if foreign.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
}

/// Paths of this machine end up in panic locations; without them the same source gives the same bytes everywhere.
fn remaps(root: &Path) -> Vec<String> {
    let mut flags = vec![format!("--remap-path-prefix={}=/polaris2istio", root.display())];
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    if let Ok(home) = home {
        flags.push(format!("--remap-path-prefix={home}=/cargo"));
    }
    flags
}

fn encode(module: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let encoder = wit_component::ComponentEncoder::default().module(module)?;
    Ok(encoder.validate(true).encode()?)
}

fn var(name: &str) -> Result<String, std::env::VarError> {
    std::env::var(name)
}
