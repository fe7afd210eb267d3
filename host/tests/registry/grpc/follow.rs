//! What is asked by gRPC, and what is news.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use polaris2istio::registry::{PolarisConfig, PolarisRegistry, Registry, ServiceCache, TokenSource};

use super::fake::{Asked, GrpcFake, Say, code, listed, unchanged};
use super::quick_grpc;
use crate::fake::{DEADLINE, Fake, Reply};
use crate::follower::{Heard, follow_polaris, heard, quick_at};
use crate::key;

const ONE: &[(&str, &str)] = &[("a", "10.0.0.1")];
const TWO: &[(&str, &str)] = &[("a", "10.0.0.1"), ("b", "10.0.0.2")];

/// A well-behaved server: one content at one revision.
pub(super) fn content(
    revision: &'static str,
    instances: &'static [(&str, &str)],
) -> impl FnMut(&Asked) -> Say + Send + Clone {
    move |asked| match asked.revision == revision {
        true => unchanged(&asked.name, revision),
        false => listed(&asked.name, revision, instances),
    }
}

#[tokio::test]
async fn all_services_are_asked_for_on_one_stream_and_revisions_are_sent_back() {
    let fake = GrpcFake::start(content("r1", ONE)).await;
    let mut following = follow_polaris(quick_grpc(&[&fake]), &["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        following.hosts(name, &["10.0.0.1"]).await;
    }
    fake.wait_for_more(30).await;
    following.quiet();
    let asked = fake.asked();
    assert!(asked.iter().all(|asked| (asked.connection, asked.stream) == (0, 0)), "{asked:#?}");
    assert!(asked[..3].iter().all(|asked| asked.revision.is_empty() && asked.token.is_none()), "{asked:#?}");
    assert!(asked[3..].iter().all(|asked| asked.revision == "r1"), "{asked:#?}");
    fake.rule(content("r2", TWO));
    for _ in 0..3 {
        assert!(matches!(heard(&following.next().await), Heard::Listed(service) if service.instances.len() == 2));
    }
    fake.rule(|_| Say::Answer(code(400_202)));
    for _ in 0..3 {
        assert!(matches!(heard(&following.next().await), Heard::Missing));
    }
}

#[tokio::test]
async fn what_speaks_at_an_address_is_found_out() {
    let fake = GrpcFake::start(content("r1", ONE)).await;
    let mut following = follow_polaris(quick_at(&fake.address.to_string()), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;

    let fake = Fake::start(|asked| match asked.line.starts_with("POST") {
        true => Reply::polaris(crate::listed(asked.name(), "r1", ONE)),
        false => Reply::Bytes("HTTP/1.1 405 Method Not Allowed\r\n\r\n".into()),
    })
    .await;
    let mut following = follow_polaris(quick_at(&fake.address.to_string()), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
}

/// A server keeps something of every request until the stream ends.
#[tokio::test]
async fn a_stream_is_opened_again_before_it_grows_old() {
    let fake = GrpcFake::start(content("r1", ONE)).await;
    let names: Vec<String> = (0..200).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut following = follow_polaris(quick_grpc(&[&fake]), &names);
    for _ in &names {
        following.next().await;
    }
    fake.wait_for("a third stream", |asked| asked.last().is_some_and(|last| last.stream == 2)).await;
    following.quiet();
    let mut counts = BTreeMap::<usize, usize>::new();
    fake.asked().iter().for_each(|asked| *counts.entry(asked.stream).or_default() += 1);
    assert!((0..2).all(|stream| (5_000..=10_000).contains(&counts[&stream])), "{counts:?}");
    assert_eq!(fake.connections(), 1, "the connection stays");
}

#[tokio::test]
async fn requests_go_out_together() {
    let fake = GrpcFake::start(content("r1", ONE)).await;
    let (interval, batch) = (Duration::from_millis(500), Duration::from_millis(100));
    let names: Vec<String> = (0..50).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let _following = follow_polaris(PolarisConfig { interval, batch, ..quick_grpc(&[&fake]) }, &names);
    fake.wait_for_more(50).await;
    let (start, mut moments) = (Instant::now(), 0);
    let mut seen = fake.asked().len();
    while start.elapsed() < Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = fake.asked().len();
        moments += usize::from(now > seen);
        seen = now;
    }
    assert!(moments <= 30, "some twenty batches in two seconds, not {moments}");
}

#[tokio::test]
async fn a_rate_is_kept_however_many_services_there_are() {
    let fake = GrpcFake::start(content("r1", ONE)).await;
    let names: Vec<String> = (0..300).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let config = PolarisConfig { rate: std::num::NonZeroU32::new(200), ..quick_grpc(&[&fake]) };
    let start = Instant::now();
    let _following = follow_polaris(config, &names);
    fake.wait_for("six hundred requests", |asked| asked.len() >= 600).await;
    let took = start.elapsed().as_secs_f64();
    assert!(took > 2.7, "six hundred requests took {took} s at two hundred a second");
}

#[tokio::test]
async fn a_token_is_metadata_and_read_again_when_it_is_denied() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "0ld-s3cret\n").unwrap();
    let mut good = content("r1", ONE);
    let fake = GrpcFake::start(move |asked| match asked.token.as_deref() {
        Some("n3w-s3cret") => good(asked),
        _ => Say::Answer(code(401_001)),
    })
    .await;
    let config = PolarisConfig { token: TokenSource::File(path.clone()), ..quick_grpc(&[&fake]) };
    let mut following = follow_polaris(config, &["cart"]);
    let error = following.failed("cart", "denied").await;
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    assert_eq!(fake.asked()[0].token.as_deref(), Some("0ld-s3cret"));
    std::fs::write(&path, "n3w-s3cret").unwrap();
    following.hosts("cart", &["10.0.0.1"]).await;
    // It is taken away.
    fake.rule(|_| Say::Answer(code(401_001)));
    following.failed("cart", "denied").await;
}

#[tokio::test]
async fn it_ends_when_nobody_wants_or_hears_anything() {
    let fake = GrpcFake::start(content("r1", ONE)).await;
    let registry = PolarisRegistry::new(quick_grpc(&[&fake])).unwrap();
    let (cache, queue) = ServiceCache::new();
    let task = tokio::spawn(registry.follow(queue));
    let subscription = cache.subscribe(&key("cart"));
    cache.next_report().await;
    drop((cache, subscription));
    tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
}

/// Replicas behind one address tick apart, so the state before may come after the state of now. What it says for longer is so.
#[tokio::test]
async fn an_older_state_does_not_flap() {
    let fake = GrpcFake::start(content("r1", ONE)).await;
    let mut following = follow_polaris(quick_grpc(&[&fake]), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    let mut turn = 0;
    fake.rule(move |asked| {
        turn += 1;
        if turn % 2 == 0 { content("r1", ONE)(asked) } else { content("r2", TWO)(asked) }
    });
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
    let changed = Instant::now();
    fake.wait_for_more(20).await;
    following.quiet();
    fake.rule(content("r1", ONE));
    following.hosts("cart", &["10.0.0.1"]).await;
    assert!(changed.elapsed() > Duration::from_millis(1_500), "{:?}", changed.elapsed());
}
