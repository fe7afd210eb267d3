//! Following over HTTP when something goes wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use polaris2istio::registry::PolarisConfig;

use super::fake::{Asked, Fake, Reply};
use super::follower::{Heard, follow_polaris, heard, quick};
use super::{key, listed, recorded};

const ONE: &[(&str, &str)] = &[("a", "10.0.0.1")];

fn fine(asked: &Asked) -> Reply {
    if asked.revision() == "r1" { Reply::unchanged() } else { Reply::polaris(listed(asked.name(), "r1", ONE)) }
}

/// Checks that a fault is reported once, as what and with which words, and that its end brings the last news again.
async fn check(what: &str, reply: Reply, kind: &str, words: &[&str]) {
    println!("{what}");
    let fake = Fake::start(fine).await;
    let config = PolarisConfig { total_timeout: Duration::from_millis(400), ..quick(&[&fake]) };
    let mut following = follow_polaris(config, &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    fake.rule(move |_| reply.clone());
    let error = following.failed("cart", kind).await.to_string();
    let address = fake.address.to_string();
    words.iter().chain([&&*address]).for_each(|word| assert!(error.contains(word), "{what}: no `{word}` in: {error}"));
    fake.wait_for_more(2).await;
    following.quiet();
    fake.rule(fine);
    following.hosts("cart", &["10.0.0.1"]).await;
}

fn html(status: u16) -> Reply {
    Reply::Answer(status, String::new(), "<html>a proxy</html>".to_owned())
}

fn code(code: u32) -> Reply {
    Reply::polaris(serde_json::json!({"code": code, "info": "words"}).to_string())
}

#[tokio::test]
async fn refusals_are_named() {
    check("denied", Reply::polaris(recorded("auth-denied-401001")), "denied", &["shop/cart", "401001", "token"]).await;
    check("limited by address", code(429_002), "limited", &["429002", "poll less often"]).await;
    check("limited by API", code(403_003), "limited", &["403003"]).await;
    check("a parse error", Reply::polaris(recorded("bad-json-400001")), "refused", &["400001"]).await;
    check("a store error", code(500_001), "server", &["500001", "store"]).await;
}

#[tokio::test]
async fn what_is_not_polaris_is_named() {
    let elsewhere = Reply::Answer(302, "Location: http://elsewhere/\r\n".to_owned(), String::new());
    check("a redirect", elsewhere, "not-polaris", &["302", "http://elsewhere/", "not followed"]).await;
    check("a web page", html(200), "not-json", &["not JSON", "shop/cart"]).await;
    check("a wrong path", html(404), "not-polaris", &["404", "8090"]).await;
    check("a proxy's 503", html(503), "server", &["503"]).await;
    check("a proxy's 429", html(429), "limited", &["429"]).await;
    check("a proxy's 401", html(401), "denied", &["401"]).await;
    let other = Reply::polaris(listed("basket", "r1", ONE));
    check("another service", other, "wrong-service", &["shop/cart", "shop/basket"]).await;
}

#[tokio::test]
async fn broken_answers_are_named() {
    let cut = recorded("discover-full-mixed")[..900].to_owned();
    check("a cut text", Reply::Answer(200, String::new(), cut), "not-json", &["ends too early"]).await;
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{".to_owned();
    check("a cut connection", Reply::Bytes(short), "dropped", &["shop/cart"]).await;
    check("a dropped connection", Reply::Close, "dropped", &["shop/cart"]).await;
    check("no HTTP", Reply::Bytes("SSH-2.0\r\n\r\n".to_owned()), "dropped", &["shop/cart"]).await;
    check("silence", Reply::Hang, "timed-out", &["shop/cart", "400ms"]).await;
}

#[tokio::test]
async fn large_answers_are_not_read() {
    for (reply, what) in [
        (Reply::Chunked(100), "100 MB in chunks"),
        (Reply::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n".to_owned()), "100 MB announced"),
    ] {
        let fake = Fake::start(move |_| reply.clone()).await;
        let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
        let error = following.failed("cart", "too-large").await.to_string();
        assert!(error.contains("16777216 bytes") && error.contains("shop/cart"), "{what}: {error}");
    }
}

/// Two large answers that never end hold up others as large, for as long as a request may take; all others go on.
#[tokio::test]
async fn large_answers_without_end_hold_up_none_that_are_small() {
    let fake = Fake::start(fine).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n{}", " ".repeat(2 << 20));
    fake.rule(move |asked| match asked.name() {
        "cart" => Reply::polaris(listed("cart", "r2", &[("b", "10.0.0.2")])),
        _ => Reply::Stall(head.clone()),
    });
    following.want(&["cart", "l1", "l2", "l3", "l4"]);
    fake.wait_for("all large ones", |asked| asked.iter().any(|asked| asked.name() == "l4").then_some(())).await;
    let before = fake.asked().iter().filter(|asked| asked.name() == "cart").count();
    fake.wait_for("polls of the small one", |asked| {
        let polls = asked.iter().filter(|asked| asked.name() == "cart").count();
        (polls > before + 20).then_some(())
    })
    .await;
    following.hosts("cart", &["10.0.0.2"]).await;
    // They give up, and what is sound comes after them.
    fake.rule(fine);
    let mut recovered = std::collections::BTreeSet::new();
    while recovered.len() < 4 {
        let report = following.next().await;
        if let Heard::Listed(_) = heard(&report) {
            recovered.insert(report.service);
        }
    }
}

#[tokio::test]
async fn headers_without_end_are_not_read() {
    let many: String = (0..10_000).map(|number| format!("X-{number}: 1\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "x".repeat(4 << 20));
    for headers in [many, long] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 2\r\n\r\n{{}}");
        check("headers", Reply::Bytes(bytes), "dropped", &["shop/cart"]).await;
    }
}

/// A megabyte of compressed zeros is a gigabyte: nothing is asked to be compressed, and nothing is decompressed.
#[tokio::test]
async fn nothing_is_decompressed() {
    let compressed = Reply::Answer(200, "Content-Encoding: gzip\r\n".to_owned(), "\u{1f}\u{8b}\u{8}".to_owned());
    check("compressed", compressed, "not-json", &["shop/cart"]).await;
    let fake = Fake::start(fine).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    assert!(fake.asked()[0].headers.iter().all(|header| !header.starts_with("accept-encoding")));
}

/// The body of an answer that says "unchanged" means nothing, and is not worth reading for ever.
#[tokio::test]
async fn an_unchanged_answer_is_not_read_to_its_end() {
    let fake = Fake::start(fine).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
    let head = "HTTP/1.1 200 OK\r\nX-Polaris-Code: 200001\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = format!("{head}{}", chunk.repeat(8));
    fake.rule(move |_| Reply::Bytes(bytes.clone()));
    let connections = fake.connections();
    fake.wait_for_more(5).await;
    following.quiet();
    assert!(fake.connections() > connections, "connections with an unread rest are not used again");
}

#[tokio::test]
async fn a_large_answer_that_is_allowed_is_read() {
    let ids: Vec<String> = (0..5_000).map(|number| format!("{number:040}")).collect();
    let list: Vec<(&str, &str)> = ids.iter().map(|id| (&**id, "10.0.0.1")).collect();
    let text = listed("cart", "r1", &list);
    let fake = Fake::start(move |_| Reply::polaris(text.clone())).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    assert_eq!(following.listed("cart").await.instances.len(), 5_000);
}

#[tokio::test]
async fn one_service_that_drops_connections_does_not_stop_the_others() {
    let bad = |asked: &Asked| if asked.name() == "bad" { Reply::Close } else { fine(asked) };
    let fake = Fake::start(bad).await;
    let names = ["a", "b", "bad", "c"];
    let mut following = follow_polaris(quick(&[&fake]), &names);
    for _ in names {
        let report = following.next().await;
        assert_eq!(matches!(heard(&report), Heard::Failed(_)), *report.service == key("bad"), "{report:?}");
    }
    fake.wait_for("the others, and the bad one again", |asked| {
        let count = |name: &str| asked.iter().filter(|asked| asked.name() == name).count();
        (count("a") > 10 && count("b") > 10 && count("bad") > 2).then_some(())
    })
    .await;
    following.quiet();
    fake.rule(move |asked| match asked.name() {
        "c" => Reply::polaris(listed("c", "r2", &[("z", "10.0.0.9")])),
        _ => bad(asked),
    });
    following.hosts("c", &["10.0.0.9"]).await;
}

/// Checks that the second server is asked when the first is at fault, without a failure being reported, and that it stays so.
async fn check_failover(what: &str, fault: Reply) {
    println!("{what}");
    let (first, second) = (Fake::start(fine).await, Fake::start(fine).await);
    let config = PolarisConfig { total_timeout: Duration::from_millis(400), ..quick(&[&first, &second]) };
    let mut following = follow_polaris(config, &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    first.wait_for_more(3).await;
    assert!(second.asked().is_empty(), "{what}: it stays with one server");
    first.rule(move |_| fault.clone());
    second.wait_for_more(3).await;
    let before = first.asked().len();
    first.rule(fine);
    second.wait_for_more(5).await;
    assert_eq!(first.asked().len(), before, "{what}: it stays with the other");
    following.quiet();
}

#[tokio::test]
async fn another_server_is_asked_when_one_is_at_fault() {
    check_failover("a store error", code(500_001)).await;
    check_failover("a proxy's 502", html(502)).await;
    check_failover("silence", Reply::Hang).await;
}

/// Replicas are apart by up to a second, so what the next one does not list yet is not gone; what it still does not list later is.
#[tokio::test]
async fn a_server_that_is_behind_takes_nothing_away() {
    let both = |asked: &Asked| Reply::polaris(listed(asked.name(), "r2", &[("a", "10.0.0.1"), ("b", "10.0.0.2")]));
    let (first, second) = (Fake::start(both).await, Fake::start(fine).await);
    let mut following = follow_polaris(quick(&[&first, &second]), &["cart"]);
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
    let turned = Instant::now();
    first.rule(|_| code(500_001));
    second.wait_for_more(3).await;
    following.quiet();
    following.hosts("cart", &["10.0.0.1"]).await;
    assert!(turned.elapsed() > Duration::from_secs(1), "{:?}", turned.elapsed());
}

#[tokio::test]
async fn another_server_is_asked_when_one_cannot_be_reached() {
    let (first, second) = (Fake::start(fine).await, Fake::start(fine).await);
    let config = quick(&[&first, &second]);
    drop(first);
    let mut following = follow_polaris(config, &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    second.wait_for_more(3).await;
    following.quiet();
}

#[tokio::test]
async fn no_such_service_is_an_answer_and_no_reason_to_ask_another_server() {
    let (first, second) =
        (Fake::start(|_| Reply::polaris(recorded("not-found-400202"))).await, Fake::start(fine).await);
    let mut following = follow_polaris(quick(&[&first, &second]), &["cart"]);
    following.missing("cart").await;
    first.wait_for_more(3).await;
    assert!(second.asked().is_empty());
}

#[tokio::test]
async fn when_no_server_answers_all_services_fail_and_all_recover() {
    let fake = Fake::start(fine).await;
    let address = fake.address;
    let mut following = follow_polaris(quick(&[&fake]), &["a", "b", "c"]);
    for _ in 0..3 {
        assert!(matches!(heard(&following.next().await), Heard::Listed(_)));
    }
    drop(fake);
    let mut failed = Vec::new();
    while failed.len() < 3 {
        let report = following.next().await;
        let Heard::Failed(error) = heard(&report) else { panic!("{report:?}") };
        // One that was under way may have lost its connection first.
        if error.kind() != "dropped" {
            assert_eq!(error.kind(), "unreachable", "{error}");
            assert!(error.to_string().contains(&address.to_string()), "{error}");
            failed.push(report.service);
        }
    }
    // One that is wanted only now hears of it at once.
    following.want(&["a", "b", "c", "d"]);
    following.failed("d", "unreachable").await;
    let fake = Fake::start_at(address, fine).await;
    let mut listed = Vec::new();
    while listed.len() < 4 {
        let report = following.next().await;
        assert!(matches!(heard(&report), Heard::Listed(_)), "{report:?}");
        listed.push(report.service);
    }
    listed.sort();
    assert_eq!(listed, ["a", "b", "c", "d"].map(|name| Arc::new(key(name))));
    fake.wait_for_more(4).await;
}

#[tokio::test]
async fn a_limit_makes_all_services_wait() {
    let fake = Fake::start(|_| code(429_002)).await;
    let config = PolarisConfig {
        limited_backoff: (Duration::from_millis(300), Duration::from_millis(300)),
        concurrency: 1,
        ..quick(&[&fake])
    };
    let mut following = follow_polaris(config, &["a", "b", "c"]);
    for _ in 0..3 {
        let report = following.next().await;
        assert!(matches!(heard(&report), Heard::Failed(error) if error.kind() == "limited"), "{report:?}");
    }
    let times = fake.wait_for("four requests", |asked| (asked.len() >= 4).then(|| asked.to_vec())).await;
    for pair in times.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(200), "{:?}", pair[1].at - pair[0].at);
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_named() {
    let fake = Fake::start(fine).await;
    let config = PolarisConfig { addresses: "no-such-host.invalid:8090".parse().unwrap(), ..quick(&[&fake]) };
    let error = follow_polaris(config, &["cart"]).failed("cart", "unresolved").await.to_string();
    for word in ["`no-such-host.invalid:8090`", "`no-such-host.invalid`", "DNS"] {
        assert!(error.contains(word), "no {word} in: {error}");
    }
}

/// A server that says when to come back is asked no sooner.
#[tokio::test]
async fn a_server_that_limits_may_say_for_how_long() {
    let limited = |_: &Asked| Reply::Answer(429, "Retry-After: 1\r\n".to_owned(), String::new());
    let fake = Fake::start(limited).await;
    let _following = follow_polaris(quick(&[&fake]), &["cart"]);
    fake.wait_for_more(2).await;
    let asked = fake.asked();
    let waited = asked[1].at - asked[0].at;
    assert!(waited >= Duration::from_secs(1), "{waited:?}, and our own wait is 40 ms at most");
}
