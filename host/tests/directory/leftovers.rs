//! Outputs whose entry is gone, and entries whose output is: while the controller runs, and while nobody does.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fixture::{Bench, answer, entry, wait};

fn bench() -> Bench {
    let bench = Bench::new();
    for (number, name) in (1..).zip(["a", "b", "c"]) {
        bench.answer(name, &[(&format!("10.0.0.{number}"), 100)]);
        bench.entry(name, json!({}));
    }
    assert_eq!(bench.once(&[]).0, 0);
    bench
}

fn outputs(bench: &Bench) -> Vec<String> {
    let files = bench.path("out").read_dir().unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const ALL: [&str; 3] = ["polaris.a.yaml", "polaris.b.yaml", "polaris.c.yaml"];

/// Something happens while nobody runs; after that these outputs are there, and the log of the next run says this.
#[track_caller]
fn check(change: impl Fn(&Bench), left: &[&str], text: &str) {
    let bench = bench();
    change(&bench);
    let (_, log) = bench.once(&[]);
    assert_eq!(outputs(&bench), left, "{log}");
    assert!(log.contains(text), "the log says `{text}`: {log}");
}

fn edited(bench: &Bench, edit: impl Fn(&mut Value)) {
    let mut text = entry("b", json!({}));
    edit(&mut text);
    bench.write("entries/b.yaml", text.to_string());
}

#[test]
fn while_nobody_ran() {
    let gone = |bench: &Bench| std::fs::remove_file(bench.path("entries/b.yaml")).unwrap();
    let rest = ["polaris.a.yaml", "polaris.c.yaml"];
    check(gone, &rest, "polaris.b.yaml: removed, as its entry is gone");
    check(|bench| edited(bench, |b| b["metadata"]["namespace"] = json!("mesh")), &rest, "polaris.b.yaml: removed");
    check(
        |bench| edited(bench, |b| b["metadata"]["name"] = json!("d")),
        &["polaris.a.yaml", "polaris.c.yaml", "polaris.d.yaml"],
        "polaris.b.yaml: removed",
    );
    check(
        |bench| edited(bench, |b| b["metadata"]["labels"] = json!({})),
        &ALL,
        "polaris.b.yaml: left over from an earlier run: its entry is there and is not served",
    );
    check(
        |bench| bench.write("entries/b.yaml", "kind: ["),
        &ALL,
        "polaris.b.yaml: left over from an earlier run: its entry is in no file that can be read",
    );
    // What somebody else wrote, or made from another directory, is his.
    check(
        |bench| bench.write("out/polaris.d.yaml", "kind: ServiceEntry"),
        &[&ALL[..], &["polaris.d.yaml"]].concat(),
        "3 entries are served",
    );
    let moved = |bench: &Bench| {
        let text = std::fs::read_to_string(bench.path("out/polaris.b.yaml")).unwrap();
        bench.write("out/mesh.b.yaml", text.replace("/entries/", "/others/"));
    };
    check(
        moved,
        &[&["mesh.b.yaml"], &ALL[..]].concat(),
        "mesh.b.yaml: left over from an earlier run: it was made from ",
    );
}

#[test]
fn a_dry_run_removes_nothing() {
    let bench = bench();
    std::fs::remove_file(bench.path("entries/b.yaml")).unwrap();
    let (_, log) = bench.once(&["--dry-run"]);
    assert!(outputs(&bench) == ALL && log.contains("its entry is gone, and nothing may be written now"), "{log}");
}

#[test]
fn an_entry_that_moves_takes_its_output_along() {
    let bench = bench();
    let _running = bench.start(&[]);
    bench.answer("a", &[("10.0.0.9", 100)]);
    bench.expect("a", &["10.0.0.9"]);
    edited(&bench, |b| b["metadata"]["namespace"] = json!("mesh"));
    wait("its output goes", || if outputs(&bench).len() == 2 { Ok(()) } else { Err(format!("{:?}", outputs(&bench))) });
}

#[test]
fn a_file_that_is_written_in_parts_deletes_nothing() {
    let bench = bench();
    let whole: Vec<_> = ["a", "b", "c"].map(|name| entry(name, json!({})).to_string()).into();
    for name in ["a", "b", "c"] {
        std::fs::remove_file(bench.path(&format!("entries/{name}.yaml"))).unwrap();
    }
    bench.write("entries/all.yaml", whole.join("\n---\n"));
    let running = bench.start(&[]);
    running.expect_log("3 entries are served");
    let stays = |time: Duration| {
        let start = Instant::now();
        wait("outputs stay", || {
            assert_eq!(outputs(&bench), ALL, "{}", running.log());
            if start.elapsed() > time { Ok(()) } else { Err(String::new()) }
        });
    };
    bench.write("entries/all.yaml", &whole[0]);
    stays(Duration::from_millis(1000));
    bench.write("entries/all.yaml", format!("{}\n---\n{}", whole[0], &whole[1][..whole[1].len() / 2]));
    stays(Duration::from_millis(1500));
    // What cannot be used does not take away what it was, however long it stays so.
    bench.answer("b", &[("10.0.0.7", 100)]);
    bench.expect("b", &["10.0.0.7"]);
    stays(Duration::from_millis(1200));
    bench.write("entries/all.yaml", whole[..2].join("\n---\n"));
    wait("what is gone for long goes", || if outputs(&bench) == ALL[..2] { Ok(()) } else { Err(running.log()) });
}

#[test]
fn an_output_that_is_taken_away_comes_back() {
    let bench = bench();
    let running = bench.start(&[]);
    running.expect_log("3 entries are served");
    let path = bench.path("out/polaris.a.yaml");
    for number in 1..4 {
        let address = format!("10.1.0.{number}");
        bench.write("answers/a.json", answer("a", &[(&address, 100 + number)]).to_string());
        // As fast as it can be: no watch has seen the file.
        wait("the output comes with the new address", || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let _ = std::fs::remove_file(&path);
            if text.contains(&address) { Ok(()) } else { Err(running.log()) }
        });
    }
    bench.expect("a", &["10.1.0.3"]);
    std::fs::remove_dir_all(bench.path("out")).unwrap();
    bench.expect("a", &["10.1.0.3"]);
    bench.expect("c", &["10.0.0.3"]);
}
