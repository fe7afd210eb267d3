//! The command line as the operator meets it: help, wrong usage, the offline verbs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod support;

use std::path::{Path, PathBuf};

use support::{check, json};

fn example(name: &str) -> String {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/example");
    root.join(name).display().to_string()
}

#[test]
fn help_teaches_by_example() {
    check(
        &["--help"],
        0,
        &["Examples:", "polaris2istio --polaris-address polaris.example.com:8090", "POLARIS2ISTIO_EMPTY_HOLD"],
        &[],
    );
    check(&["convert", "--help"], 0, &["Examples:", "polaris2istio convert --entry"], &[]);
    check(&["explain", "--help"], 0, &["Examples:", "polaris2istio explain --entry"], &[]);
}

#[test]
fn wrong_usage_is_2() {
    check(&[], 2, &[], &["--polaris-address"]);
    check(&["--nonsense"], 2, &[], &["--nonsense"]);
    check(&["--answers", "a", "--entries", "b"], 2, &[], &["--output"]);
    check(&["--answers", "a", "--empty-hold", "soon"], 2, &[], &["5m", "never"]);
    check(&["--answers", "a", "--log", "=="], 2, &[], &["--log"]);
}

#[test]
fn what_cannot_be_used_is_1_with_a_remedy() {
    check(&["--polarisAddress", "127.0.0.1:8091"], 1, &[], &["8091", "8090"]);
    check(&["--polaris-address", "127.0.0.1:1"], 1, &[], &["no access to a Kubernetes cluster", "set KUBECONFIG"]);
    let directory = tempfile::tempdir().unwrap();
    let (here, out) = (directory.path().to_str().unwrap(), directory.path().join("out"));
    let directories = ["--answers", here, "--entries", here, "--output", out.to_str().unwrap()];
    check(&[&directories[..], &["--module", "/nonexistent.wasm"]].concat(), 1, &[], &["/nonexistent.wasm"]);
    check(&[&directories[..], &["--socket", "/nonexistent/socket"]].concat(), 1, &[], &["give --socket a path"]);
    check(&[&directories[..], &["--state", "file:/nonexistent/state"]].concat(), 1, &[], &["give --state a path"]);
    check(&[&directories[..], &["--module-params", "/nonexistent.yaml"]].concat(), 1, &[], &["/nonexistent.yaml"]);
}

#[test]
fn converts_offline() {
    let (entry, answer) = (example("entries/reviews.yaml"), example("answers/reviews.json"));
    let arguments = ["convert", "--entry", &entry, "--answer", &answer];
    check(&arguments, 0, &["address: \"10.1.0.11\"", "location: MESH_INTERNAL"], &["instance-isolated"]);
    let object = json(&arguments, 0);
    assert_eq!(object["spec"]["endpoints"].as_array().unwrap().len(), 2);
}

#[test]
fn explains_offline() {
    let (entry, answer) = (example("entries/reviews.yaml"), example("answers/reviews.json"));
    let arguments = ["explain", "--entry", &entry, "--answer", &answer];
    check(&arguments, 0, &["polaris/reviews <- default/reviews: converted", "left out", "instance-isolated"], &[]);
    let fates = json(&arguments, 0);
    let left_out = fates["instances"].as_array().unwrap().iter().filter(|fate| fate["endpoint"].is_null()).count();
    assert_eq!(left_out, 1);
}

#[test]
fn explains_names() {
    let (entry, answer) = (example("entries/reviews.yaml"), example("answers/reviews.json"));
    let arguments = ["explain", "--entry", &entry, "--answer", &answer, "--dns", "records"];
    check(&arguments, 0, &["warning dns-no-address: host dev.reviews.polaris: no record"], &[]);
    check(&[&arguments[..6], &["endpoints"]].concat(), 0, &["dns-no-endpoint"], &[]);
    check(&arguments[..5], 0, &["converted"], &[]);
}

#[test]
fn names_need_a_cluster() {
    let files = ["--answers", "a", "--entries", "b", "--output", "c"];
    check(&[&files[..], &["--dns", "records"]].concat(), 2, &[], &["--dns"]);
    check(&[&files[..], &["--repair-vip"]].concat(), 2, &[], &["--repair-vip"]);
}

#[test]
fn refuses_an_answer_of_another_service() {
    let (entry, answer) = (example("entries/reviews.yaml"), example("answers/orders.json"));
    check(
        &["convert", "--entry", &entry, "--answer", &answer],
        1,
        &[],
        &["is about default/orders", "names default/reviews"],
    );
}
