//! The command line as the operator meets it: a run, its exit code and its output. Shared by the tests of its verbs.

use std::process::{Command, Output};

/// Runs it outside any cluster and without a home.
pub(crate) fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polaris2istio"));
    command.args(arguments).env_remove("KUBECONFIG").env("HOME", "/nonexistent").output().unwrap()
}

/// Runs, and checks the exit code and that stdout and stderr hold some texts. Returns stdout.
#[track_caller]
pub(crate) fn check(arguments: &[&str], code: i32, stdout: &[&str], stderr: &[&str]) -> String {
    let output = run(arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    for text in stdout {
        assert!(out.contains(text), "stdout says `{text}`: {out}");
    }
    for text in stderr {
        assert!(err.contains(text), "stderr says `{text}`: {err}");
    }
    out.into_owned()
}

/// Runs with `-o json` and reads what it prints.
#[track_caller]
pub(crate) fn json(arguments: &[&str], code: i32) -> serde_json::Value {
    serde_json::from_str(&check(&[arguments, &["-o", "json"]].concat(), code, &[], &[])).unwrap()
}
