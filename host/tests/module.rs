//! `module inspect`, `test` and `diff` as the operator meets them: their output, exit codes, and refusals.
//!
//! Other modules than the embedded one are made of it by changing texts in its bytes, so that no toolchain is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;
use polaris2istio::cli::Cli;
use polaris2istio::source::ModuleBytes;
use support::{check, json};
use tempfile::TempDir;

/// The bytes of the embedded module.
fn embedded() -> Vec<u8> {
    ModuleBytes::embedded().bytes.to_vec()
}

fn cases() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").display().to_string()
}

fn case(name: &str) -> String {
    format!("{}/{name}", cases())
}

/// Files of one test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name).display().to_string()
    }

    /// The embedded module with another text in it, of equal length.
    #[track_caller]
    fn patched(&self, name: &str, from: &str, to: &str) -> String {
        assert_eq!(from.len(), to.len());
        let mut bytes = embedded();
        let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
        assert!(!places.is_empty(), "the embedded module holds `{from}`");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        self.write(name, &bytes)
    }

    /// A copy of a case that a test may change.
    fn case(&self, name: &str) -> String {
        std::fs::create_dir(self.path(name)).unwrap();
        for file in Path::new(&case(name)).read_dir().unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), self.path(name).join(file.file_name())).unwrap();
        }
        self.path(name).display().to_string()
    }
}

#[test]
fn help_teaches_by_example() {
    check(&["module", "--help"], 0, &["inspect", "test", "diff"], &[]);
    check(&["module", "inspect", "--help"], 0, &["Examples:", "polaris2istio module inspect embedded"], &[]);
    check(&["module", "test", "--help"], 0, &["Examples:", "--update", "outcome.json", "Exit code 0"], &[]);
    check(&["module", "diff", "--help"], 0, &["Examples:", "--cases cases/", "Exit code 0"], &[]);
}

#[test]
fn wrong_usage_is_2() {
    check(&["module"], 2, &[], &["inspect"]);
    check(&["module", "diff", "a", "b"], 2, &[], &["--cases"]);
    check(&["module", "test", "embedded"], 2, &[], &["CASES"]);
    check(&["module", "inspect", "embedded", "--module-param", "env"], 2, &[], &["KEY=VALUE"]);
    check(&["module", "inspect", "embedded", "--module-param", "allow-loopback=true"], 2, &[], &["--allow-loopback"]);
}

#[test]
fn inspects() {
    let texts = ["name     default", "conversion/converter@0.2.0", "imports  none", "digest   sha256:"];
    check(&["module", "inspect", "embedded"], 0, &texts, &[]);
    let files = Files::new();
    let copy = files.write("copy.wasm", &embedded());
    let (own, copied) = (json(&["module", "inspect", "embedded"], 0), json(&["module", "inspect", copy.as_str()], 0));
    assert_eq!(own["digest"], copied["digest"]);
    assert_eq!(copied["size"], embedded().len());
    assert_eq!(copied["module"], format!("file:{copy}"));
    assert_eq!(copied["exports"], serde_json::json!(["polaris2istio:conversion/conversion@0.2.0"]));
    check(&["module", "inspect", "embedded", "-o", "yaml"], 0, &["imports: []"], &[]);
}

#[test]
fn refusals_name_the_reason_and_the_remedy() {
    let files = Files::new();
    let check = |file: &str, more: &[&str], texts: &[&str]| {
        check(&[&["module", "inspect", file], more].concat(), 1, &[], &[&[file], texts].concat());
    };
    check("/nonexistent.wasm", &[], &[]);
    check(&files.write("empty", b""), &[], &["it is empty"]);
    check(&files.write("text", b"hello"), &[], &["not WebAssembly", "hello"]);
    check(&files.write("core", b"\0asm\x01\0\0\0"), &[], &["wasm-tools component new"]);
    check(&files.write("half", &embedded()[..embedded().len() / 2]), &[], &["not a valid component"]);
    check(&files.write("nothing", b"\0asm\x0d\0\x01\0"), &[], &["does not export", "it exports nothing"]);
    let import = b"\0asm\x0d\0\x01\0\x07\x05\x01\x40\0\x01\0\x0a\x0a\x01\0\x05clock\x01\0";
    check(&files.write("import", import), &[], &["imports clock", "without WASI"]);
    let two_mib = b"\0asm\x0d\0\x01\0\x01\x0d\0asm\x01\0\0\0\x05\x03\x01\0\x20";
    check(&files.write("large", two_mib), &["--module-memory", "1"], &["--module-memory"]);
    let next = files.patched("next", "conversion@0.2.0", "conversion@0.3.0");
    check(
        &next,
        &[],
        &["speaks version 0.3.0 of the contract", "and this polaris2istio speaks 0.2.0; build it against"],
    );
}

/// The default rules pass the same golden cases by this verb as by the tests' own runner.
#[test]
fn the_embedded_module_passes_its_cases() {
    let count = Path::new(&cases()).read_dir().unwrap().count();
    check(&["module", "test", "embedded", &cases()], 0, &["ok", &format!("\n{count} passed, 0 failed\n")], &[]);
}

#[test]
fn a_case_that_differs_shows_how() {
    let files = Files::new();
    let other = files.patched("other.wasm", "instance-isolated", "instance-ISOLATED");
    let one = case("instances-isolated");
    let texts =
        ["instances-isolated ... FAILED", "\n- ", "\n+ ", "instance-ISOLATED", "--update", "\n0 passed, 1 failed\n"];
    check(&["module", "test", &other, &one], 1, &texts, &[]);
}

#[test]
fn update_writes_what_is_expected() {
    let files = Files::new();
    let copy = files.case("instances-isolated");
    let arguments = ["module", "test", "embedded", copy.as_str()];
    let outcome = files.path("instances-isolated/outcome.json");
    let text = std::fs::read_to_string(&outcome).unwrap();
    std::fs::remove_file(&outcome).unwrap();
    check(&arguments, 1, &["there is no outcome.json", "0 passed, 1 failed"], &[]);
    check(&[&arguments[..], &["--update"]].concat(), 0, &["written", "1 passed, 0 failed"], &[]);
    assert_eq!(std::fs::read_to_string(&outcome).unwrap(), text);
    check(&[&arguments[..], &["--update"]].concat(), 0, &["ok", "1 passed, 0 failed"], &[]);
}

#[test]
fn an_answer_that_the_host_would_refuse_never_passes() {
    let files = Files::new();
    let other = files.patched("other.wasm", "grpc", "grpX");
    let copy = files.case("protocol-mapped");
    let texts = ["breaks the contract", "spec.ports[grpX].name", "0 passed, 1 failed"];
    check(&["module", "test", &other, &copy, "--update"], 1, &texts, &[]);
    check(&["module", "diff", "embedded", &other, "--cases", &copy], 1, &["... failed\n  breaks the contract"], &[]);
}

#[test]
fn a_modules_own_failure_can_be_expected() {
    let files = Files::new();
    let copy = files.case("weight-passed-on");
    files.write("weight-passed-on/parameters.json", br#"{"evn": "prod"}"#);
    check(&["module", "test", "embedded", &copy, "--update"], 0, &["written"], &[]);
    let outcome = std::fs::read_to_string(files.path("weight-passed-on/outcome.json")).unwrap();
    assert!(outcome.contains(r#""failure": "#) && outcome.contains("evn"), "{outcome}");
    check(&["module", "test", "embedded", &copy], 0, &["1 passed, 0 failed"], &[]);
}

#[test]
fn parameters_come_from_flags_where_a_case_has_none() {
    let arguments = ["module", "test", "embedded"];
    let plain = case("weight-passed-on");
    let unknown = ["--module-param", "env=prod"];
    check(&[&arguments[..], &[&plain], &unknown].concat(), 1, &["no such parameter"], &[]);
    let cidrs = ["--address-cidrs", "192.0.2.0/24"];
    check(&[&arguments[..], &[&plain], &cidrs].concat(), 1, &["instance-address-outside-cidrs"], &[]);
    // This case has CIDRs of its own.
    check(&[&arguments[..], &[&case("forbidden-outside-cidrs")], &cidrs].concat(), 0, &["1 passed"], &[]);
}

#[test]
fn broken_cases_fail_alone_with_the_file_named() {
    let files = Files::new();
    files.case("weight-passed-on");
    files.case("labels-invalid");
    files.write("labels-invalid/paramters.json", b"{}");
    files.case("labels-reserved");
    files.write("labels-reserved/answer.json", b"{");
    files.case("location-absent");
    std::fs::remove_file(files.path("location-absent/answer.json")).unwrap();
    files.case("locality-slash");
    files.write("locality-slash/parameters.json", b"[]");
    let texts = [
        "paramters.json: is no file of a case",
        "labels-reserved/answer.json",
        "location-absent/answer.json: is not there",
        "locality-slash/parameters.json: ",
        "\n1 passed, 4 failed\n",
    ];
    check(&["module", "test", "embedded", &files.0.path().display().to_string()], 1, &texts, &[]);
    let empty = TempDir::new().unwrap().path().display().to_string();
    check(&["module", "test", "embedded", &empty], 1, &[], &[&empty]);
    check(&["module", "test", "embedded", "/"], 1, &["0 passed"], &[]);
}

#[test]
fn equal_modules_differ_in_nothing() {
    let files = Files::new();
    let copy = files.write("copy.wasm", &embedded());
    let count = Path::new(&cases()).read_dir().unwrap().count();
    let summary = format!("{count} unchanged, 0 changed, 0 newly rejected, 0 failed");
    check(&["module", "diff", "embedded", &copy, "--cases", &cases()], 0, &[&summary], &[]);
    // Diagnostics are not what an entry holds.
    let other = files.patched("other.wasm", "instance-isolated", "instance-ISOLATED");
    check(&["module", "diff", "embedded", &other, "--cases", &cases()], 0, &[&summary], &[]);
}

#[test]
fn a_difference_is_told_case_by_case() {
    let files = Files::new();
    let other = files.patched("other.wasm", "tcp-thrift", "tdp-thrift");
    let cases = cases();
    let arguments = ["module", "diff", "embedded", other.as_str(), "--cases", cases.as_str()];
    let texts = [
        "case protocol-aeraki ... changed\n  ~ 10.0.0.2: ports tcp-thrift-9000=9000 -> tdp-thrift-9000=9000\n",
        "  ~ spec.ports[tdp-thrift-9000]: none -> 9000 TCP\n",
        "1 changed, 0 newly rejected, 0 failed\nendpoints: 0 added, 0 removed, 1 altered\n",
    ];
    check(&arguments, 1, &texts, &[]);
    let report = json(&arguments, 1);
    assert_eq!((&report["summary"]["changed"], &report["summary"]["endpoints-altered"]), (&1.into(), &1.into()));
    let changed: Vec<_> =
        report["cases"].as_array().unwrap().iter().filter(|case| case["status"] == "changed").collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0]["endpoints"]["altered"][0]["after"]["ports"][0][0], "tdp-thrift-9000");
}

#[test]
fn what_is_newly_rejected_or_accepted_is_told_with_the_reason() {
    let files = Files::new();
    let other = files.patched("other.wasm", "aeraki.net/polarisNamespace", "aeraki.net/polarisNamespacX");
    let one = case("weight-passed-on");
    let texts = ["... newly rejected\n  binding-missing: ", "1 newly rejected", "0 removed"];
    check(&["module", "diff", "embedded", &other, "--cases", &one], 1, &texts, &[]);
    let report = json(&["module", "diff", "embedded", &other, "--cases", &one], 1);
    assert_eq!(report["cases"][0]["status"], "newly-rejected");
    let texts = [
        "... changed\n  + 10.0.0.1 http=8080 weight 1\n",
        "  ~ spec.resolution: left as it is -> STATIC",
        "A rejected: binding-missing",
    ];
    check(&["module", "diff", &other, "embedded", "--cases", &one], 1, &texts, &[]);
}

#[test]
fn what_fails_is_told_with_the_reason() {
    let files = Files::new();
    let copy = files.write("copy.wasm", &embedded());
    let one = case("weight-passed-on");
    let arguments = ["module", "diff", "embedded", copy.as_str(), "--cases", &one, "--module-param", "env=prod"];
    // The embedded rules are given what they know, another module everything.
    check(&arguments, 1, &["... failed", "no such parameter", "0 newly rejected, 1 failed"], &[]);
    check(&["module", "diff", "embedded", "/nonexistent.wasm", "--cases", &one], 1, &[], &["/nonexistent.wasm"]);
}

/// `wit/README.md` says what is: its limits are the flags' defaults, its commands are run, here or by `wit/examples/run`.
#[test]
fn the_readme_agrees() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let readme = read("wit/README.md");
    let command = Cli::command();
    for limit in ["module-timeout", "module-memory", "module-max-output", "module-max-size"] {
        let flag = command.get_arguments().find(|argument| argument.get_long() == Some(limit)).unwrap();
        let row = format!("| `--{limit}` | {} |", flag.get_default_values()[0].display());
        assert!(readme.contains(&row), "wit/README.md has `{row}`");
    }
    let commands: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands {
        match command.strip_prefix("polaris2istio ") {
            // The products of the examples' builds are not here.
            Some(arguments) if arguments.contains("wit/examples/") => {}
            Some(arguments) => {
                let arguments: Vec<_> = arguments.split(' ').collect();
                let mut command = Command::new(env!("CARGO_BIN_EXE_polaris2istio"));
                let output = command.args(&arguments).current_dir(&root).output().unwrap();
                assert!(output.status.success(), "{arguments:?}");
            }
            None => assert!(root.join(command).is_file(), "{command}"),
        }
    }
    assert!(read("tests/run").contains("wit/examples/run") && read("wit/examples/run").contains("wit/README.md"));
}
