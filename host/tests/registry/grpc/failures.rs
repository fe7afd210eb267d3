//! Following by gRPC when something goes wrong.

use std::time::Duration;

use polaris2istio::registry::PolarisConfig;

use super::fake::{Answer, Asked, GrpcFake, Instance, Say, code, listed};
use super::follow::content;
use super::quick_grpc;
use crate::follower::{Heard, follow_polaris, heard};
use crate::key;

const ONE: &[(&str, &str)] = &[("a", "10.0.0.1")];

fn fine() -> impl FnMut(&Asked) -> Say + Send + Clone {
    content("r1", ONE)
}

fn config(fakes: &[&GrpcFake]) -> PolarisConfig {
    PolarisConfig { total_timeout: Duration::from_millis(400), ..quick_grpc(fakes) }
}

/// Checks that a fault is reported once, as what and with which words, and that its end brings the last news again.
async fn check(what: &str, say: Say, kind: &str, words: &[&str]) {
    println!("{what}");
    let fake = GrpcFake::start(fine()).await;
    // Only what is waited for needs a short time; large answers need a long one on a loaded machine.
    let config = if kind == "timed-out" { config(&[&fake]) } else { quick_grpc(&[&fake]) };
    let mut following = follow_polaris(config, &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    fake.rule(move |_| say.clone());
    let error = following.failed("cart", kind).await.to_string();
    let address = fake.address.to_string();
    words.iter().chain([&&*address]).for_each(|word| assert!(error.contains(word), "{what}: no `{word}` in: {error}"));
    fake.wait_for_more(2).await;
    following.quiet();
    fake.rule(fine());
    following.hosts("cart", &["10.0.0.1"]).await;
}

#[tokio::test]
async fn refusals_are_named() {
    check("denied", Say::Answer(code(401_001)), "denied", &["shop/cart", "401001", "token"]).await;
    check("limited by address", Say::Answer(code(429_002)), "limited", &["429002", "poll less often"]).await;
    check("limited by API", Say::Answer(code(403_003)), "limited", &["403003"]).await;
    check("a store error", Say::Answer(code(500_001)), "server", &["500001", "store"]).await;
    check("no such call", Say::Status(12, "unknown"), "not-polaris", &["8091"]).await;
    check("a proxy's refusal", Say::Status(16, "who"), "denied", &["401", "who"]).await;
    check("a proxy's limit", Say::Status(8, "many"), "limited", &["429"]).await;
    check("a proxy's trouble", Say::Status(14, "away"), "server", &["500", "away"]).await;
}

#[tokio::test]
async fn broken_answers_are_named() {
    check("silence", Say::Hang, "timed-out", &["shop/cart", "400ms"]).await;
    check("a cut connection", Say::Cut, "dropped", &["shop/cart"]).await;
    check("an answer cut short", Say::Bytes(vec![0, 0, 0, 1, 0, 8, 1]), "timed-out", &["shop/cart"]).await;
    check("no such message", Say::Message(vec![0xff; 12]), "not-message", &["shop/cart"]).await;
    check("an answer too large", Say::Bytes(vec![0, 0x7f, 0, 0, 0]), "too-large", &["16777216 bytes"]).await;
    check("another service", listed("basket", "r1", ONE), "wrong-service", &["shop/cart", "shop/basket"]).await;
    check("of another type", Say::Answer(Answer { kind: 6, ..code(200_000) }), "not-instances", &["`type` is 6"]).await;
    let unasked = Say::Answer(Answer { ..code(200_001) });
    let fake = GrpcFake::start(move |_| unasked.clone()).await;
    follow_polaris(config(&[&fake]), &["cart"]).failed("cart", "not-instances").await;
}

#[tokio::test]
async fn answers_have_the_bounds_of_those_by_http() {
    let Say::Answer(sound) = listed("cart", "r2", ONE) else { return };
    let many = Answer { instances: vec![Instance::default(); 20_001], ..sound.clone() };
    check("instances", Say::Answer(many), "too-many", &["20000 instances"]).await;
    let metadata = |count: usize| (0..count).map(|number| (number.to_string(), String::new())).collect();
    let crowded = Instance { metadata: metadata(1_025), ..Instance::default() };
    let many = Answer { instances: vec![crowded], ..sound.clone() };
    check("pairs in one place", Say::Answer(many), "too-many", &["1024 pairs"]).await;
    let crowded = Instance { metadata: metadata(1_000), ..Instance::default() };
    let many = Answer { instances: vec![crowded; 201], ..sound.clone() };
    check("pairs", Say::Answer(many), "too-many", &["200000 pairs"]).await;
    let mut service = sound.service.clone().unwrap_or_default();
    service.metadata = metadata(1_025);
    check("the service's pairs", Say::Answer(Answer { service: Some(service), ..sound }), "too-many", &["1024"]).await;
}

#[tokio::test]
async fn a_service_that_breaks_the_stream_does_not_stop_the_others() {
    for (what, say) in [("cut", Say::Cut), ("silence", Say::Hang), ("too large", Say::Bytes(vec![0, 0x7f, 0, 0, 0]))] {
        println!("{what}");
        let bad = move |asked: &Asked| if asked.name == "bad" { say.clone() } else { fine()(asked) };
        let fake = GrpcFake::start(bad.clone()).await;
        let names = ["a", "b", "bad", "c"];
        let mut following = follow_polaris(config(&[&fake]), &names);
        let (mut sound, mut failed) = (0, 0);
        while (sound, failed) != (3, 1) {
            let report = following.next().await;
            let is_bad = *report.service == key("bad");
            match heard(&report) {
                Heard::Failed(_) if is_bad => failed += 1,
                Heard::Listed(_) if !is_bad => sound += 1,
                // Whoever was waited for when the stream broke is suspected first.
                Heard::Failed(_) | Heard::Listed(_) | Heard::Missing => {}
            }
        }
        // The questions that were on the broken stream have been asked again by then.
        fake.wait_for_more(40).await;
        let streams = fake.asked().iter().filter(|asked| asked.name == "a").map(|asked| asked.stream).max();
        fake.wait_for("the others on their stream, and the bad one again", |asked| {
            let count = |name: &str| asked.iter().filter(|asked| asked.name == name).count();
            count("a") > 30 && count("b") > 30 && count("bad") > 3
        })
        .await;
        let after = fake.asked().iter().filter(|asked| asked.name == "a").map(|asked| asked.stream).max();
        assert_eq!(streams, after, "{what}: the others' stream goes on");
        fake.rule(fine());
        loop {
            let report = following.next().await;
            if *report.service == key("bad") && matches!(heard(&report), Heard::Listed(_)) {
                break;
            }
        }
    }
}

/// A stream answers in order: one that is slow every time would have all others wait for it every time.
#[tokio::test]
async fn a_slow_service_does_not_delay_the_others() {
    let slow = |asked: &Asked| match fine()(asked) {
        Say::Answer(answer) if asked.name == "slow" => Say::Late(Duration::from_millis(1_500), answer),
        say => say,
    };
    let fake = GrpcFake::start(slow).await;
    let config = PolarisConfig { total_timeout: Duration::from_secs(10), ..config(&[&fake]) };
    let _following = follow_polaris(config, &["a", "slow"]);
    let times = |asked: &[Asked], name: &str| asked.iter().filter(|asked| asked.name == name).count();
    fake.wait_for("the slow one is asked alone", |asked| times(asked, "slow") > 2).await;
    let (before, slow) = (times(&fake.asked(), "a"), times(&fake.asked(), "slow"));
    fake.wait_for("the slow one is asked again", |asked| times(asked, "slow") > slow + 1).await;
    let between = times(&fake.asked(), "a") - before;
    assert!(between > 5, "a second or more, and the other one was asked {between} times");
}

#[tokio::test]
async fn answers_out_of_order_are_not_taken() {
    let fake = GrpcFake::start(fine()).await;
    let mut following = follow_polaris(config(&[&fake]), &["a", "b"]);
    following.hosts("a", &["10.0.0.1"]).await;
    following.hosts("b", &["10.0.0.1"]).await;
    fake.rule(|asked| match &*asked.name {
        "a" => listed("b", "r2", &[("z", "10.0.0.9")]),
        _ => listed("a", "r2", &[("y", "10.0.0.8")]),
    });
    let mut failed = std::collections::BTreeSet::new();
    while failed.len() < 2 {
        let report = following.next().await;
        assert!(matches!(heard(&report), Heard::Failed(error) if error.kind() == "wrong-service"), "{report:?}");
        failed.insert(report.service);
    }
    fake.rule(fine());
    for _ in 0..2 {
        let report = following.next().await;
        assert!(matches!(heard(&report), Heard::Listed(service) if service.instances[0].host == "10.0.0.1"));
    }
}

#[tokio::test]
async fn another_server_is_asked_when_one_is_at_fault() {
    for (what, fault) in [("a cut", Say::Cut), ("silence", Say::Hang), ("trouble", Say::Answer(code(500_001)))] {
        println!("{what}");
        let (first, second) = (GrpcFake::start(fine()).await, GrpcFake::start(fine()).await);
        let mut following = follow_polaris(config(&[&first, &second]), &["cart"]);
        following.hosts("cart", &["10.0.0.1"]).await;
        assert!(second.asked().is_empty());
        first.rule(move |_| fault.clone());
        second.wait_for_more(3).await;
        let before = first.asked().len();
        first.rule(fine());
        second.wait_for_more(5).await;
        assert_eq!(first.asked().len(), before, "{what}: it stays with the other");
        following.quiet();
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_halted_for_and_comes_back() {
    let fake = GrpcFake::start(fine()).await;
    let settings = config(&[&fake]);
    let mut following = follow_polaris(settings, &["a", "b", "c"]);
    for _ in 0..3 {
        assert!(matches!(heard(&following.next().await), Heard::Listed(_)));
    }
    let address = fake.address;
    drop(fake);
    let mut failed = std::collections::BTreeSet::new();
    while failed.len() < 3 {
        let report = following.next().await;
        if matches!(heard(&report), Heard::Failed(error) if error.kind() == "unreachable") {
            failed.insert(report.service);
        }
    }
    let _fake = GrpcFake::start_at(address, fine()).await;
    let mut listed = std::collections::BTreeSet::new();
    while listed.len() < 3 {
        let report = following.next().await;
        assert!(matches!(heard(&report), Heard::Listed(_)), "{report:?}");
        listed.insert(report.service);
    }
}
