//! The documents say what the code does: their commands are run, their files and the table of flags compared, their links
//! followed.
//!
//! `UPDATE_README=1 cargo test -p polaris2istio --test readme` rewrites what can be rewritten.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "../support/docs.rs"]
mod docs;
mod links;

use std::process::Command;

use clap::CommandFactory;
use polaris2istio::annotation;
use polaris2istio::cli::Cli;
use polaris2istio_core::diagnostic::Code;
use polaris2istio_core::model::Severity;

use docs::{Document, root};

/// How long the README may be: it is for who found it five minutes ago.
const README_LINES: usize = 200;

impl Document {
    /// Compares the part that stands between `before` and the next `end`, or rewrites it.
    #[track_caller]
    fn check(&self, before: &str, end: &str, wanted: &str) {
        // Another part may have been rewritten.
        let Self { path, text } = Self::read(&self.path);
        let found =
            between(&text, before, end).unwrap_or_else(|| panic!("{path} has `{before}`, and `{end}` after it"));
        if found == wanted {
            return;
        }
        if std::env::var_os("UPDATE_README").is_some() {
            let (old, new) = (format!("{before}{found}{end}"), format!("{before}{wanted}{end}"));
            return std::fs::write(root().join(path), text.replacen(&old, &new, 1)).unwrap();
        }
        panic!(
            "{path} says:\n{found}\nbut it is:\n{wanted}\nUPDATE_README=1 cargo test -p polaris2istio --test readme rewrites it"
        );
    }
}

/// The text between the end of `before` and the next `end`.
fn between<'a>(text: &'a str, before: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.find(end).map(|length| &rest[..length])
}

// One test, since each part may rewrite a document.
#[test]
fn agrees_with_the_code() {
    flags();
    diagnostics();
    let documents = Document::for_users();
    files(&documents);
    commands(&documents);
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
    Document::with("flags").check("<!-- configuration -->", "<!-- end of configuration -->", &table);
}

fn diagnostics() {
    let mut table = String::from("\n| code | severity | meaning |\n|---|---|---|\n");
    for code in Code::ALL {
        let severity = match code.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        table.push_str(&format!("| `{}` | {severity} | {} |\n", code.as_str(), code.meaning()));
    }
    Document::with("diagnostics").check("<!-- diagnostics -->", "<!-- end of diagnostics -->", &table);
}

fn files(documents: &[Document]) {
    let mut count = 0;
    for document in documents {
        for path in document.text.split("<!-- file: ").skip(1).map(|rest| rest.split(" -->").next().unwrap()) {
            let file = std::fs::read_to_string(root().join(path)).unwrap();
            document.check(&format!("<!-- file: {path} -->\n```yaml\n"), "```\n", &file);
            count += 1;
        }
    }
    assert!(count >= 1);
}

/// Every offline command is run, and what it prints stands in the next block.
fn commands(documents: &[Document]) {
    let mut count = 0;
    for document in documents {
        for command in document.text.lines().filter_map(|line| line.strip_prefix("$ polaris2istio ")) {
            let output = Command::new(env!("CARGO_BIN_EXE_polaris2istio"))
                .args(command.split(' '))
                .current_dir(root())
                .output()
                .unwrap();
            assert!(output.status.success(), "{command}");
            let (_, rest) = document.text.split_once(command).unwrap();
            let language = between(rest, "```\n\n```", "\n").expect("a block with what the command prints");
            let before = format!("{command}\n```\n\n```{language}\n");
            document.check(&before, "```\n", &String::from_utf8_lossy(&output.stdout));
            count += 1;
        }
    }
    assert!(count >= 2);
}

/// The table of annotations has all of them, and no other.
#[test]
fn every_annotation_has_a_row() {
    let document = Document::with("annotations");
    let table = between(&document.text, "## Annotations of an entry\n", "\n## ").expect("a section of annotations");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let mut told: Vec<_> = rows.flat_map(|row| row.split(", ")).map(|key| key.trim_matches('`')).collect();
    let mut known = annotation::ALL.map(|(key, _)| key);
    told.sort_unstable();
    known.sort_unstable();
    assert_eq!(told, known, "{}, and the keys in host/src/annotation.rs", document.path);
}

/// A check that is too long for a test is run by CI: the chain is not broken.
#[test]
fn ci_runs_what_the_documents_name() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let chain = [
        ("tests", "$ tests/run", ".ci/run", "tests/run"),
        ("tests", "tests/fuzz/run", "tests/run", "tests/fuzz/run"),
        ("image", "deploy/image", "tests/run", "tests/image"),
        ("tests", "tests/deny", ".ci/run", "tests/deny"),
        ("quickstart", "$ deploy/quickstart", "tests/run", "deploy/quickstart --once"),
    ];
    for (part, said, script, run) in chain {
        let document = Document::with(part);
        assert!(document.text.contains(said), "{} has `{said}`", document.path);
        assert!(read(script).contains(run), "{script} runs `{run}`");
    }
}

/// The README repeats commands of the documents that it leads to, where they are run: it may have no other.
#[test]
fn the_readmes_commands_are_those_of_the_documents() {
    let mut documents = Document::for_users();
    let readme = documents.remove(0);
    let known: Vec<_> = documents.iter().flat_map(Document::scripts).flat_map(str::lines).collect();
    let commands: Vec<_> = readme.scripts().flat_map(str::lines).collect();
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands {
        assert!(known.contains(&command), "a document in deploy/docs has `{command}`");
    }
}

/// Each alert has a runbook, which it names, and there is no other.
#[test]
fn every_alert_has_a_runbook() {
    let rules = Document::read("deploy/prometheus/rules.yaml").text;
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let named: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("runbook: ")).collect();
    let path = |alert: &&str| format!("deploy/docs/runbooks/{alert}.md");
    assert_eq!(named, alerts.iter().map(path).collect::<Vec<_>>());
    let mut paths: Vec<_> = alerts.iter().map(path).collect();
    paths.sort();
    let runbooks = Document::runbooks();
    assert_eq!(runbooks.iter().map(|runbook| runbook.path.clone()).collect::<Vec<_>>(), paths);
    for runbook in runbooks {
        for part in ["**In the mesh**", "## Look", "## Do"] {
            assert!(runbook.text.contains(part), "{}: {part}", runbook.path);
        }
    }
}

#[test]
fn the_readme_is_short() {
    let lines = Document::read("README.md").text.lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines, more than {README_LINES}: move some to deploy/docs");
}
