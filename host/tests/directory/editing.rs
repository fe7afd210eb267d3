//! An operator edits files while the controller runs.

use std::time::{Duration, Instant};

use serde_json::json;

use super::fixture::{Bench, entry, wait};

fn bench() -> Bench {
    let bench = Bench::new();
    bench.answer("reviews", &[("10.0.0.1", 100), ("10.0.0.2", 100)]);
    bench.entry("reviews", json!({}));
    bench
}

#[test]
fn an_answer_that_changes_shows_at_once() {
    let bench = bench();
    let running = bench.start(&[]);
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
    let start = Instant::now();
    bench.answer("reviews", &[("10.0.0.1", 100), ("10.0.0.3", 100)]);
    bench.expect("reviews", &["10.0.0.1", "10.0.0.3"]);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    running.expect_count("entry written", 2);
}

#[test]
fn the_operators_fields_go_through_and_his_file_is_not_touched() {
    let bench = bench();
    let mut text = entry("reviews", json!({"team": "a"}));
    text["spec"]["subjectAltNames"] = json!(["spiffe://x"]);
    text["spec"]["exportTo"] = json!(["*"]);
    bench.write("entries/reviews.yaml", text.to_string());
    let _running = bench.start(&[]);
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
    let output = bench.output("reviews").unwrap();
    assert_eq!(output["spec"]["subjectAltNames"], json!(["spiffe://x"]));
    assert_eq!(output["metadata"]["annotations"]["team"], "a");
    text["spec"]["hosts"] = json!(["dev.other.polaris"]);
    bench.write("entries/reviews.yaml", text.to_string());
    wait("the new host goes through", || {
        let hosts = bench.output("reviews").unwrap()["spec"]["hosts"].clone();
        if hosts == json!(["dev.other.polaris"]) { Ok(()) } else { Err(hosts.to_string()) }
    });
    assert_eq!(bench.addresses("reviews").unwrap().len(), 2, "and the endpoints stay");
    assert_eq!(std::fs::read_to_string(bench.path("entries/reviews.yaml")).unwrap(), text.to_string());
}

#[test]
fn an_edited_or_removed_output_is_put_back() {
    let bench = bench();
    let _running = bench.start(&[]);
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
    let path = bench.path("out/polaris.reviews.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("10.0.0.2", "10.9.9.9").replace("dev.reviews.polaris", "evil.polaris")).unwrap();
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
    wait("the host is put back", || {
        let hosts = bench.output("reviews").unwrap()["spec"]["hosts"].clone();
        if hosts == json!(["dev.reviews.polaris"]) { Ok(()) } else { Err(hosts.to_string()) }
    });
    std::fs::remove_file(&path).unwrap();
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn a_second_run_writes_nothing() {
    let bench = bench();
    assert_eq!(bench.once(&[]).0, 0);
    let path = bench.path("out/polaris.reviews.yaml");
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    let (code, log) = bench.once(&[]);
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("entry written"), "{log}");
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
}

#[test]
fn derived_ports_are_kept_over_a_restart() {
    let bench = bench();
    let mut text = entry("reviews", json!({}));
    text["spec"].as_object_mut().unwrap().remove("ports");
    bench.write("entries/reviews.yaml", text.to_string());
    assert_eq!(bench.once(&[]).0, 0);
    let ports = bench.output("reviews").unwrap()["spec"]["ports"].clone();
    assert_eq!(ports, json!([{"name": "http", "number": 8080, "protocol": "HTTP"}]));
    bench.write(
        "answers/reviews.json",
        super::fixture::answer("reviews", &[("10.0.0.1", 100)]).to_string().replace("8080", "9090"),
    );
    assert_eq!(bench.once(&[]).0, 0);
    assert_eq!(bench.output("reviews").unwrap()["spec"]["ports"], ports, "kept, whatever instances come");
}

#[test]
fn an_entry_that_is_deleted_takes_its_output_along() {
    let bench = bench();
    let _running = bench.start(&[]);
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
    std::fs::remove_file(bench.path("entries/reviews.yaml")).unwrap();
    wait("the output goes", || bench.output("reviews").map_or(Ok(()), |_| Err("it is there".into())));
}

#[test]
fn an_entry_that_loses_its_label_is_let_go_untouched() {
    let bench = bench();
    let running = bench.start(&[]);
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
    let mut text = entry("reviews", json!({}));
    text["metadata"]["labels"] = json!({"manager": "aeraki"});
    bench.write("entries/reviews.yaml", text.to_string());
    running.expect_log("passed over");
    bench.answer("reviews", &[("10.0.0.9", 100)]);
    // A second entry shows that the change was seen.
    bench.answer("other", &[("10.0.0.8", 100)]);
    bench.entry("other", json!({}));
    bench.expect("other", &["10.0.0.8"]);
    assert_eq!(bench.addresses("reviews").unwrap(), ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn an_entry_that_vanishes_for_a_moment_changes_nothing() {
    let bench = bench();
    let running = bench.start(&[]);
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
    let text = std::fs::read(bench.path("entries/reviews.yaml")).unwrap();
    std::fs::remove_file(bench.path("entries/reviews.yaml")).unwrap();
    bench.answer("other", &[("10.0.0.8", 100)]);
    bench.entry("other", json!({}));
    bench.expect("other", &["10.0.0.8"]);
    bench.write("entries/reviews.yaml", text);
    bench.answer("reviews", &[("10.0.0.7", 100)]);
    bench.expect("reviews", &["10.0.0.7"]);
    running.expect_count("polaris/reviews", 2);
}

#[test]
fn sigterm_ends_it_cleanly() {
    let bench = bench();
    let mut running = bench.start(&[]);
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
    let start = Instant::now();
    running.signal("-TERM");
    assert_eq!(running.wait(), 0);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
