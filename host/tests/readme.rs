//! The README says what the code does: its commands are run, its files and its table of flags compared.
//!
//! `UPDATE_README=1 cargo test -p polaris2istio --test readme` rewrites what can be rewritten.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;
use polaris2istio::cli::Cli;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// Compares the part of the README that stands between `before` and the next `end`, or rewrites it.
#[track_caller]
fn check(before: &str, end: &str, wanted: &str) {
    let text = readme();
    let found = between(&text, before, end);
    if found == wanted {
        return;
    }
    if std::env::var_os("UPDATE_README").is_some() {
        let (old, new) = (format!("{before}{found}{end}"), format!("{before}{wanted}{end}"));
        return std::fs::write(root().join("README.md"), text.replacen(&old, &new, 1)).unwrap();
    }
    panic!(
        "README.md says:\n{found}\nbut it is:\n{wanted}\nUPDATE_README=1 cargo test -p polaris2istio --test readme rewrites it"
    );
}

/// The text between the end of `before` and the next `end`.
fn between<'a>(text: &'a str, before: &str, end: &str) -> &'a str {
    let start = text.find(before).unwrap_or_else(|| panic!("README.md has `{before}`")) + before.len();
    let length = text[start..].find(end).unwrap_or_else(|| panic!("README.md has `{end}` after `{before}`"));
    &text[start..start + length]
}

// One test, since each part may rewrite the file.
#[test]
fn agrees_with_the_code() {
    flags();
    files();
    commands();
    scripts();
}

fn flags() {
    let mut table = String::from("\n| flag | environment variable | default | what it sets |\n|---|---|---|---|\n");
    let command = Cli::command();
    for argument in command.get_arguments().filter(|argument| argument.get_env().is_some()) {
        let default: Vec<_> =
            argument.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
        let takes_value = argument.get_action().takes_values();
        let default = if takes_value { default.join(", ") } else { String::new() };
        table.push_str(&format!(
            "| `--{}` | `{}` | {default} | {} |\n",
            argument.get_long().unwrap(),
            argument.get_env().unwrap().display(),
            argument.get_help().unwrap().to_string().replace('|', "\\|"),
        ));
    }
    check("<!-- configuration -->", "<!-- end of configuration -->", &table);
}

fn files() {
    let text = readme();
    let paths: Vec<_> = text.split("<!-- file: ").skip(1).map(|rest| rest.split(" -->").next().unwrap()).collect();
    assert!(!paths.is_empty());
    for path in paths {
        let file = std::fs::read_to_string(root().join(path)).unwrap();
        check(&format!("<!-- file: {path} -->\n```yaml\n"), "```\n", &file);
    }
}

/// Every offline command is run, and what it prints stands in the next block.
fn commands() {
    let text = readme();
    let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("$ polaris2istio ")).collect();
    assert!(commands.len() >= 2, "{commands:?}");
    for command in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_polaris2istio"))
            .args(command.split(' '))
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}");
        let rest = &text[text.find(command).unwrap() + command.len()..];
        let language = between(rest, "```\n\n```", "\n");
        let before = format!("{command}\n```\n\n```{language}\n");
        check(&before, "```\n", &String::from_utf8_lossy(&output.stdout));
    }
}

/// A check that is too long for a test is run by CI: the chain is not broken.
fn scripts() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    assert!(readme().contains("$ tests/run") && read(".ci/run").contains("tests/run"));
    assert!(readme().contains("tests/fuzz/run") && read("tests/run").contains("tests/fuzz/run"));
    assert!(readme().contains("deploy/image") && read("tests/run").contains("tests/image"));
    assert!(readme().contains("tests/deny") && read(".ci/run").contains("tests/deny"));
    assert!(readme().contains("$ deploy/quickstart") && read("tests/run").contains("deploy/quickstart --once"));
}
