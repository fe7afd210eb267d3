//! Mass disappearances, a pause, and a dry run.

use std::time::{Duration, Instant};

use serde_json::json;

use super::fixture::{Bench, answer, entry, wait};

const FOUR: [(&str, u32); 4] = [("10.0.0.1", 100), ("10.0.0.2", 100), ("10.0.0.3", 100), ("10.0.0.4", 100)];
const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];

/// Entries with four endpoints each.
fn bench(services: &[&str]) -> Bench {
    let bench = Bench::new();
    for service in services {
        bench.answer(service, &FOUR);
        bench.entry(service, json!({}));
    }
    assert_eq!(bench.once(&[]).0, 0);
    bench
}

#[test]
fn a_mass_removal_is_believed_when_it_is_said_again() {
    let bench = bench(&["reviews"]);
    let running = bench.start(&["--removal-hold", "1s", "--empty-hold", "4s"]);
    bench.answer("reviews", &FOUR[..1]);
    running.expect_log("endpoints held for 2s: 3 of 4 vanished from the registry within 10m");
    bench.answer("reviews", &[("10.0.0.1", 100), ("10.0.0.9", 100)]);
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.9"]);
    bench.expect("reviews", &["10.0.0.1", "10.0.0.9"]);
    running.expect_log("endpoints no longer held");
    assert_eq!(running.count("endpoints held"), 1, "{}", running.log());
    running.expect_count("entry written", 2);
}

#[test]
fn what_is_isolated_during_a_hold_goes_at_once() {
    let bench = bench(&["reviews"]);
    bench.entry("reviews", json!({"aeraki.net/removalHold": "1h"}));
    let running = bench.start(&["--removal-hold", "0s"]);
    bench.answer("reviews", &FOUR[..1]);
    running.expect_log("endpoints held for 1h");
    let isolated = answer("reviews", &FOUR[..1]).to_string().replace("\"isolate\":false", "\"isolate\":true");
    bench.write("answers/reviews.json", isolated);
    bench.expect("reviews", &ADDRESSES[1..]);
    // Instances that are listed again are as listed.
    bench.answer("reviews", &FOUR);
    bench.expect("reviews", &ADDRESSES);
    running.expect_log("endpoints no longer held");
}

#[test]
fn once_ends_with_a_mass_removal_held() {
    let bench = bench(&["reviews"]);
    bench.answer("reviews", &FOUR[..1]);
    let (code, log) = bench.once(&[]);
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("endpoints held for 55s"), "{log}");
    assert_eq!(bench.addresses("reviews").unwrap(), ADDRESSES);
    assert_eq!(bench.once(&["--removal-hold", "0s"]).0, 0);
    assert_eq!(bench.addresses("reviews").unwrap(), ADDRESSES[..1]);
}

#[test]
fn many_services_at_once_raise_one_alarm() {
    let services = ["a", "b", "c", "d", "e", "f", "g"];
    let bench = bench(&services);
    let running = bench.start(&["--empty-hold", "1s", "--removal-hold", "1s"]);
    services.iter().for_each(|service| bench.answer(service, &[]));
    running.expect_log("of 7 services lost half of their endpoints or more within a minute");
    // The end of their own holds would have cleared those that were held before the alarm.
    let raised = Instant::now();
    wait("the time of other holds is over", || {
        services.iter().for_each(|service| assert_eq!(bench.addresses(service).unwrap(), ADDRESSES));
        if raised.elapsed() > Duration::from_millis(1500) { Ok(()) } else { Err(String::new()) }
    });
    services[1..].iter().for_each(|service| bench.answer(service, &FOUR));
    // A small loss during the alarm is held as well.
    bench.answer("a", &FOUR[..3]);
    running.expect_log("entry=\"polaris/b\"");
    bench.expect("a", &ADDRESSES);
    assert_eq!(running.count("lost half of their endpoints"), 1, "{}", running.log());
    bench.answer("a", &FOUR);
    running.expect_log("disappearances are no longer held for all services");
    assert_eq!(running.count("entry written"), 0, "{}", running.log());
    // From now on a loss is a loss.
    bench.answer("a", &FOUR[..3]);
    bench.expect("a", &ADDRESSES[..3]);
}

#[test]
fn a_paused_entry_is_shown_and_not_written() {
    let bench = bench(&["reviews", "other"]);
    bench.entry("reviews", json!({"aeraki.net/paused": "true"}));
    let running = bench.start(&[]);
    for service in ["reviews", "other"] {
        bench.answer(service, &[("10.0.0.1", 100), ("10.0.0.2", 100), ("10.0.0.7", 100)]);
    }
    bench.expect("other", &["10.0.0.1", "10.0.0.2", "10.0.0.7"]);
    running.expect_log(
        "reconcile{entry=\"polaris/reviews\"}: would be written; nothing is written: the entry's annotation aeraki.net/paused \
         says so added=1 removed=2 changed=0",
    );
    assert_eq!(bench.addresses("reviews").unwrap(), ADDRESSES);
    bench.entry("reviews", json!({"aeraki.net/paused": "yes"}));
    running.expect_log("annotation aeraki.net/paused: `yes` is neither `true` nor `false`");
    assert_eq!(bench.addresses("reviews").unwrap(), ADDRESSES);
    bench.entry("reviews", json!({"aeraki.net/paused": "false"}));
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2", "10.0.0.7"]);
    assert_eq!(running.count("would be written"), 1, "{}", running.log());
}

#[test]
fn what_ended_during_a_pause_is_held_anew_after_it() {
    let bench = bench(&["reviews"]);
    bench.entry("reviews", json!({"aeraki.net/paused": "true", "aeraki.net/emptyHold": "100ms"}));
    let running = bench.start(&[]);
    bench.answer("reviews", &[]);
    running.expect_log("added=0 removed=4 changed=0");
    bench.entry("reviews", json!({"aeraki.net/emptyHold": "1h"}));
    running.expect_log("endpoints held for 1h");
    assert_eq!(bench.addresses("reviews").unwrap(), ADDRESSES);
}

#[test]
fn a_dry_run_shows_and_writes_nothing() {
    let bench = Bench::new();
    bench.answer("reviews", &FOUR);
    bench.entry("reviews", json!({}));
    let (code, log) = bench.once(&["--dry-run"]);
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("added=4 removed=0 changed=0") && log.contains("this is a dry run"), "{log}");
    assert_eq!(std::fs::read_dir(bench.path("out")).unwrap().count(), 0);
    assert_eq!(bench.once(&[]).0, 0);
    let before = std::fs::read(bench.path("out/polaris.reviews.yaml")).unwrap();
    // Neither a change of the operator's, nor a deletion, nor a hold.
    bench.answer("reviews", &[]);
    bench.entry("reviews", json!({"team": "a"}));
    let (code, log) = bench.once(&["--dry-run"]);
    assert_eq!(code, 3, "{log}");
    let running = bench.start(&["--dry-run"]);
    running.expect_log("endpoints held for 5m");
    std::fs::remove_file(bench.path("entries/reviews.yaml")).unwrap();
    bench.answer("other", &FOUR);
    bench.write("entries/other.yaml", entry("other", json!({})).to_string());
    running.expect_log(
        "reconcile{entry=\"polaris/other\"}: would be written; nothing is written: this is a dry run added=4",
    );
    wait("the deletion was seen", || {
        bench.write("answers/other.json", answer("other", &FOUR[..3]).to_string());
        if running.log().contains("added=3") { Ok(()) } else { Err(running.log()) }
    });
    assert_eq!(std::fs::read(bench.path("out/polaris.reviews.yaml")).unwrap(), before);
    assert_eq!(std::fs::read_dir(bench.path("out")).unwrap().count(), 1);
}

#[test]
fn a_service_that_is_not_there_yet_costs_no_write() {
    let bench = Bench::new();
    bench.entry("reviews", json!({}));
    let (code, log) = bench.once(&[]);
    assert_eq!(code, 0, "{log}");
    assert_eq!((bench.output("reviews"), log.contains("entry written")), (None, false));
    bench.answer("reviews", &FOUR);
    assert_eq!(bench.once(&[]).0, 0);
    // One that is gone for good keeps the revision that it had.
    let revision =
        |bench: &Bench| bench.output("reviews").unwrap()["metadata"]["annotations"]["aeraki.net/revision"].clone();
    let before = revision(&bench);
    std::fs::remove_file(bench.path("answers/reviews.json")).unwrap();
    assert_eq!(bench.once(&["--empty-hold", "0s"]).0, 0);
    assert_eq!((bench.addresses("reviews").unwrap().len(), revision(&bench)), (0, before));
}

#[test]
fn what_the_operators_own_rules_forbid_is_not_held() {
    let bench = bench(&["reviews"]);
    let (code, log) = bench.once(&["--address-cidrs", "10.0.0.0/30"]);
    assert_eq!(code, 0, "{log}");
    assert_eq!(bench.addresses("reviews").unwrap(), ADDRESSES[..3]);
    bench.answer("reviews", &[]);
    let (code, log) = bench.once(&["--address-cidrs", "10.0.0.0/31"]);
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("endpoints=2") && log.contains("held endpoints are let go: they do not fit"), "{log}");
    assert_eq!(bench.addresses("reviews").unwrap(), ADDRESSES[..1]);
}

#[test]
fn ports_that_the_operator_takes_away_take_their_endpoints_along() {
    let bench = Bench::new();
    let mut listed = answer("reviews", &FOUR[..3]);
    listed["instances"][2]["protocol"] = json!("grpc");
    bench.write("answers/reviews.json", listed.to_string());
    let declare = |name: &str, protocol: &str| {
        let mut text = entry("reviews", json!({}));
        let ports = text["spec"]["ports"].as_array_mut().unwrap();
        ports.push(json!({"name": name, "number": 81, "protocol": protocol}));
        bench.write("entries/reviews.yaml", text.to_string());
    };
    declare("grpc", "GRPC");
    let running = bench.start(&[]);
    bench.expect("reviews", &ADDRESSES[..3]);
    // Of two ports, neither is for gRPC now.
    declare("mongo", "MONGO");
    bench.expect("reviews", &ADDRESSES[..2]);
    assert_eq!(running.count("endpoints held"), 0, "{}", running.log());
}
