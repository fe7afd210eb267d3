//! What a directory of entries may hold: lists, several documents in a file, files of other names, and what is none of ours.

use serde_json::{Value, json};

use super::fixture::{Bench, entry};

/// A bench with two entries and their answers, `a` and `b`, which `write` puts into files.
fn bench(write: impl Fn(&Bench, Value, Value)) -> Bench {
    let bench = Bench::new();
    bench.answer("a", &[("10.0.0.1", 100)]);
    bench.answer("b", &[("10.0.0.2", 100)]);
    write(&bench, entry("a", json!({})), entry("b", json!({})));
    bench
}

/// Both are served, and the log says these texts.
#[track_caller]
fn check(write: impl Fn(&Bench, Value, Value), texts: &[&str]) {
    check_code(0, write, texts);
}

/// Both are served, with this exit code.
#[track_caller]
fn check_code(expected: i32, write: impl Fn(&Bench, Value, Value), texts: &[&str]) {
    let bench = bench(write);
    let (code, log) = bench.once(&[]);
    assert_eq!(
        (code, bench.addresses("a"), bench.addresses("b")),
        (expected, Some(vec!["10.0.0.1".into()]), Some(vec!["10.0.0.2".into()])),
        "{log}"
    );
    for text in texts {
        assert!(log.contains(text), "the log says `{text}`: {log}");
    }
}

#[test]
fn lists_and_other_names_of_files() {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}});
    check(
        |bench, a, b| {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": [a, map, b]});
            bench.write("entries/all.json", list.to_string());
        },
        &["2 entries are served, 1 document is passed over: 1 of kind ConfigMap"],
    );
    check(
        |bench, a, b| {
            bench.write("entries/a.YAML", a.to_string());
            bench.write("entries/b.Yml", format!("\u{feff}---\r\n---\r\n{b}\r\n"));
            bench.write("entries/notes.txt", "nothing");
            std::fs::create_dir(bench.path("entries/more")).unwrap();
            std::os::unix::fs::symlink("/nonexistent", bench.path("entries/gone.yaml")).unwrap();
        },
        &[
            "more: sub-directories are not read",
            "notes.txt: not read",
            "gone.yaml: not read: it is no file, or a link that leads nowhere",
            "2 entries are served; 3 files or sub-directories",
        ],
    );
}

#[test]
fn one_bad_document_keeps_no_good_one_out() {
    // A pipeline has to notice all the same.
    let all = |bad: &'static str, texts: &[&str]| {
        check_code(1, |bench, a, b| bench.write("entries/all.yaml", format!("{a}\n---\n{bad}\n---\n{b}\n")), texts);
    };
    all("kind: [", &["all.yaml: not valid YAML: line 3", "1 that cannot be used"]);
    all("kind: a\nkind: b", &["all.yaml: not valid YAML: line 4, column 1: the key `kind` is there twice; remove one"]);
    all(
        r#"{"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "../x"}}"#,
        &["`../x` is no name"],
    );
}

#[test]
fn what_is_passed_over_is_said_once() {
    let bench = bench(|bench, a, _| {
        bench.write("entries/a.yaml", a.to_string());
        for number in 0..5 {
            let mut other = entry(&format!("o{number}"), json!({}));
            other["metadata"]["labels"] = json!({});
            bench.write(&format!("entries/o{number}.yaml"), other.to_string());
        }
    });
    let running = bench.start(&[]);
    bench.expect("a", &["10.0.0.1"]);
    running.expect_log("1 entry is served, 5 documents are passed over: 5 without the labels");
    bench.entry("b", json!({}));
    bench.expect("b", &["10.0.0.2"]);
    assert_eq!(running.count("are not both there"), 5, "{}", running.log());
}

#[test]
fn a_name_that_is_too_long_for_a_file_is_called_that() {
    let name = "x".repeat(245);
    let bench = bench(|bench, mut a, _| {
        a["metadata"]["name"] = json!(name);
        bench.write("entries/a.yaml", a.to_string());
    });
    let (code, log) = bench.once(&[]);
    assert!(
        code == 1 && log.contains("a file's name of 258 bytes is too long") && !log.contains("let this process write"),
        "{code} {log}"
    );
}

#[test]
fn the_output_may_not_lie_among_the_entries() {
    let bench = bench(|_, _, _| {});
    std::os::unix::fs::symlink(bench.path("entries"), bench.path("link")).unwrap();
    for output in ["entries", "entries/out", "link", "out/../link/new/er"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_polaris2istio"));
        command.arg("--answers").arg(bench.path("answers")).arg("--entries").arg(bench.path("entries"));
        let run = command.arg("--output").arg(bench.path(output)).arg("--once").output().unwrap();
        let log = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.code() == Some(1) && log.contains("is inside of --entries"), "{output}: {log}");
    }
    assert!(!bench.path("entries/out").exists());
}
