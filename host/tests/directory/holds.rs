//! Endpoints that would disappear, and when they do.

use serde_json::json;

use super::fixture::Bench;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.answer("reviews", &[("10.0.0.1", 100)]);
    bench.entry("reviews", json!({}));
    assert_eq!(bench.once(&[]).0, 0);
    bench
}

#[test]
fn an_emptied_service_is_held_and_then_cleared() {
    let bench = bench();
    let running = bench.start(&["--empty-hold", "700ms"]);
    bench.answer("reviews", &[]);
    running.expect_log("endpoints held for");
    assert_eq!(bench.addresses("reviews").unwrap(), ["10.0.0.1"]);
    bench.expect("reviews", &[]);
    running.expect_log("endpoints no longer held");
    assert_eq!(running.count("endpoints held"), 1, "{}", running.log());
    bench.answer("reviews", &[("10.0.0.2", 100)]);
    bench.expect("reviews", &["10.0.0.2"]);
}

#[test]
fn once_says_that_endpoints_are_held() {
    let bench = bench();
    bench.answer("reviews", &[]);
    let (code, log) = bench.once(&[]);
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("endpoints held for 5m: the service lists no instance any more"), "{log}");
    assert_eq!(bench.addresses("reviews").unwrap(), ["10.0.0.1"]);
    assert_eq!(bench.once(&["--empty-hold", "0s"]).0, 0, "and lets go when told so");
    assert_eq!(bench.addresses("reviews").unwrap(), [""; 0]);
}

#[test]
fn an_annotation_overrides_the_hold() {
    let bench = bench();
    bench.entry("reviews", json!({"aeraki.net/emptyHold": "never"}));
    std::fs::remove_file(bench.path("answers/reviews.json")).unwrap();
    let (code, log) = bench.once(&["--empty-hold", "0s"]);
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("endpoints held without end: the registry has no such service any more"), "{log}");
    bench.entry("reviews", json!({"aeraki.net/emptyHold": "soon"}));
    let (code, log) = bench.once(&["--empty-hold", "0s"]);
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("annotation aeraki.net/emptyHold: `soon`"), "{log}");
}

#[test]
fn what_is_isolated_on_purpose_goes_at_once() {
    let bench = bench();
    let isolated = super::fixture::answer("reviews", &[("10.0.0.1", 100)]).to_string();
    bench.write("answers/reviews.json", isolated.replace("\"isolate\":false", "\"isolate\":true"));
    let (code, log) = bench.once(&[]);
    assert_eq!(code, 0, "{log}");
    assert_eq!(bench.addresses("reviews").unwrap(), [""; 0]);
}

#[test]
fn another_service_replaces_the_old_one_only_when_it_has_endpoints() {
    let bench = bench();
    let running = bench.start(&["--empty-hold", "0s"]);
    bench.entry("reviews", json!({"aeraki.net/polarisService": "typo"}));
    running.expect_log("the service named now has no endpoints yet; those of default/reviews stay");
    assert_eq!(bench.addresses("reviews").unwrap(), ["10.0.0.1"]);
    drop(running);
    let (code, log) = bench.once(&["--empty-hold", "0s"]);
    assert_eq!(code, 3, "a restart does not forget where they come from: {log}");
    bench.answer("typo", &[("10.0.0.5", 100)]);
    assert_eq!(bench.once(&[]).0, 0);
    assert_eq!(bench.addresses("reviews").unwrap(), ["10.0.0.5"]);
}

#[test]
fn an_edit_during_a_hold_is_put_back() {
    let bench = bench();
    bench.answer("reviews", &[]);
    let running = bench.start(&["--empty-hold", "never"]);
    running.expect_log("endpoints held without end");
    let path = bench.path("out/polaris.reviews.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("10.0.0.1", "10.9.9.9")).unwrap();
    bench.expect("reviews", &["10.0.0.1"]);
}
