//! The verbs that tell of the binary itself, and `check` where no cluster is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_polaris2istio")).args(arguments).output().unwrap()
}

fn text(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_says_what_it_is_made_of() {
    let said = text(&["version"]);
    for line in [
        "polaris2istio 0.",
        "\ncommit     ",
        "\ntoolchain  rustc 1.",
        "\nworld      polaris2istio:conversion@",
        "\nmodule     sha256:",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let data: serde_json::Value = serde_json::from_str(&text(&["version", "-o", "json"])).unwrap();
    assert_eq!(data["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn shells_and_man_know_every_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let said = text(&["completions", shell]);
        for verb in ["explain", "history", "status", "--poll-interval"] {
            // fish writes a long flag without its dashes.
            assert!(said.contains(verb.trim_start_matches("--")), "{shell}: {verb}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    text(&["man", directory.path().to_str().unwrap()]);
    for page in ["polaris2istio.1", "polaris2istio-explain.1", "polaris2istio-module-promote.1"] {
        assert!(directory.path().join(page).exists(), "{page}");
    }
}

#[test]
fn directories_are_checked_without_a_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    ["answers", "entries"].iter().for_each(|name| std::fs::create_dir(directory.path().join(name)).unwrap());
    let (answers, entries, output) = (path("answers"), path("entries"), path("out"));
    let flags = ["check", "--answers", &answers, "--entries", &entries, "--output", &output];
    let said = text(&flags);
    assert!(said.starts_with("ok    registry  ") && said.lines().count() == 1, "{said}");
    std::fs::write(directory.path().join("answers/bad.json"), "{").unwrap();
    let output = run(&flags);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && said.starts_with("FAIL  registry  "), "{said}");
}
