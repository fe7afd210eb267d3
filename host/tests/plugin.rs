//! The kubectl plugin: which pod it asks, in which namespace, and with which words.
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
