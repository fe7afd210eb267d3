//! The default module has the same bytes wherever it is built: whoever doubts a release can build it and compare.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::guest::{cargo, root, target};

/// The sources of the module, and all that the other crates of the workspace read, which are built with it.
const PARTS: [&str; 7] = ["core", "host", "wit", "deploy", "tests", "Cargo.toml", "Cargo.lock"];

/// The component of a workspace, as host/build.rs makes it.
fn component(workspace: &Path) -> Vec<u8> {
    let output = cargo()
        .env_remove("POLARIS2ISTIO_DEFAULT_MODULE")
        .current_dir(workspace)
        // With the whole workspace's features, as tests/run builds.
        .args(["build", "--quiet", "--locked", "--workspace", "--lib", "--message-format", "json"])
        // The outer build's own, so that only the workspace's crates are compiled again.
        .arg("--target-dir")
        .arg(outer_target())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{} did not build", workspace.display());
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>().map(Result::unwrap);
    let out = messages
        .filter(|message| message["reason"] == "build-script-executed")
        .filter_map(|message| message["out_dir"].as_str().map(|out| Path::new(out).join("default.wasm")))
        .find(|path| path.exists())
        .expect("the host's build script writes default.wasm");
    std::fs::read(out).unwrap()
}

/// The target directory that this test lies in: `<target>/<profile>/deps/sandbox-<hash>`.
fn outer_target() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().into()
}

#[test]
fn equal_bytes_in_another_directory() {
    let elsewhere = target().join("elsewhere/deeper");
    std::fs::create_dir_all(&elsewhere).unwrap();
    for part in PARTS {
        // rsync would do, but is not everywhere; times are kept so that a second run builds nothing.
        let to = elsewhere.join(part);
        let _ = std::fs::remove_dir_all(&to);
        let copied = Command::new("cp").arg("-a").arg(root().join(part)).arg(&to).status().expect("cp runs");
        assert!(copied.success(), "{part}");
    }
    assert!(component(&elsewhere) == component(root()), "the component depends on where it is built");
}
