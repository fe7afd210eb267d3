//! The kubectl plugin: which pod it asks, in which namespace, and with which words; and the files of a release.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Stands for kubectl: it says who leads, and repeats what it is asked beside.
const KUBECTL: &str = r#"#!/bin/sh
case "$*" in *"get lease"*) [ -z "$FAIL" ] && printf '%s' "$HOLDER"; exit ${FAIL:-0} ;; esac
for argument; do printf '[%s]' "$argument"; done
"#;

fn run(arguments: &[&str], holder: &str, fail: &str) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let kubectl = directory.path().join("kubectl");
    std::fs::write(&kubectl, KUBECTL).unwrap();
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubectl-polaris2istio");
    let output = Command::new(plugin)
        .args(arguments)
        .env("PATH", path)
        .env("HOLDER", holder)
        .env("FAIL", fail)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn asks_the_leader() {
    let check = |arguments: &[&str], holder: &str, expected: &str| {
        let (code, said, errors) = run(arguments, holder, "");
        assert_eq!((code, said.as_str()), (Some(0), expected), "{arguments:?}: {errors}");
    };
    check(
        &["status", "--problems"],
        "pod-a_1234abcd",
        "[exec][-i][-n][polaris2istio][pod-a][--][polaris2istio][status][--problems]",
    );
    check(
        &["-n", "mesh", "--lease", "mesh-polaris2istio", "--context", "a *b", "explain", "polaris/a b"],
        "pod_b_1",
        "[--context=a *b][exec][-i][-n][mesh][pod_b][--][polaris2istio][explain][polaris/a b]",
    );
    check(&["page"], "pod-a_1", "[port-forward][-n][polaris2istio][pod-a][8080]");
    check(&["status"], "", "[exec][-i][-n][polaris2istio][deploy/polaris2istio][--][polaris2istio][status]");
}

#[test]
fn wrong_usage_has_a_remedy() {
    for (arguments, fail, code, words) in [
        (&[][..], "", 2, "kubectl polaris2istio VERB"),
        (&["--problems", "status"], "", 2, "options of a verb stand after it"),
        (&["-n"], "", 2, "kubectl polaris2istio VERB"),
        (&["status"], "1", 1, "no Lease polaris2istio/polaris2istio; give -n NAMESPACE"),
    ] {
        let (found, _, errors) = run(arguments, "", fail);
        assert!(found == Some(code) && errors.contains(words), "{arguments:?}: {found:?} {errors}");
    }
}

/// Runs `deploy/release` with a program that only starts the real one, which is large. Returns its directory.
fn release(arguments: &[&str]) -> (Option<i32>, String, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    std::fs::write(&program, format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_polaris2istio"))).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/release");
    let output = Command::new(script)
        .arg("--binary")
        .arg(&program)
        .args(arguments)
        .arg(directory.path().join("out"))
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap(), directory)
}

fn sh(directory: &Path, command: &str) -> String {
    let output = Command::new("sh").args(["-ec", command]).current_dir(directory).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(output.status.success(), "{command}: {text}");
    text
}

#[test]
fn a_release_has_what_krew_and_shells_need() {
    let url = "https://example.com/releases";
    let (code, errors, directory) = release(&["--url", url]);
    assert_eq!(code, Some(0), "{errors}");
    let out = directory.path().join("out");
    sh(&out, "sha256sum --check --strict SHA256SUMS");
    let version = env!("CARGO_PKG_VERSION");
    let manifest = std::fs::read_to_string(out.join("polaris2istio.yaml")).unwrap();
    let archive = format!("kubectl-polaris2istio-{version}.tar.gz");
    let digest = sh(&out, &format!("sha256sum {archive}"));
    for words in [
        format!("version: \"v{version}\""),
        format!("uri: \"{url}/{archive}\""),
        format!("sha256: \"{}\"", &digest[..64]),
        "bin: kubectl-polaris2istio".into(),
    ] {
        assert!(manifest.contains(&words), "{words}: {manifest}");
    }
    // All that the manifest wants out of the archive is in it, and the plugin can be started.
    let listed = sh(&out, &format!("tar -tvzf {archive}"));
    assert!(listed.contains("-rwxr-xr-x 0/0") && listed.contains("./kubectl-polaris2istio"), "{listed}");
    assert!(listed.contains("./LICENSE"), "{listed}");
    let listed = sh(&out, "tar -tzf polaris2istio-*-linux-*.tar.gz");
    for file in ["man/polaris2istio.1", "man/polaris2istio-uninstall.1", "completions/polaris2istio.zsh", "LICENSE"] {
        assert!(listed.contains(&format!("./{file}\n")), "{file}: {listed}");
    }
    // Another run on another day gives the same plugin, so that the digest in krew's index can be checked by anyone.
    let (_, _, again) = release(&["--url", url]);
    assert_eq!(sh(&again.path().join("out"), &format!("sha256sum {archive}")), digest);
}

#[test]
fn a_release_without_an_address_is_refused() {
    for arguments in [&["--url", "http://example.com"][..], &["--url", "@URI@"], &[]] {
        let (code, errors, _) = release(arguments);
        assert!(code == Some(2) && errors.contains("--url"), "{arguments:?}: {code:?} {errors}");
    }
}
