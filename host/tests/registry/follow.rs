//! Following over HTTP: what is asked, and what is news.

use std::time::Duration;

use polaris2istio::registry::{PolarisConfig, PolarisRegistry, Registry, ServiceCache, ServiceKey, TokenSource};

use super::fake::{Asked, Fake, Reply};
use super::follower::{Heard, follow_polaris, heard, quick};
use super::{fixture, key, listed, recorded};

const ONE: &[(&str, &str)] = &[("a", "10.0.0.1")];
const TWO: &[(&str, &str)] = &[("a", "10.0.0.1"), ("b", "10.0.0.2")];

/// A well-behaved server: one content at one revision.
fn content(revision: &'static str, instances: &'static [(&str, &str)]) -> impl FnMut(&Asked) -> Reply + Send {
    move |asked| {
        if asked.revision() == revision {
            Reply::unchanged()
        } else {
            Reply::polaris(listed(asked.name(), revision, instances))
        }
    }
}

#[tokio::test]
async fn asks_as_the_server_wants_it_and_sends_the_revision_back() {
    let fake = Fake::start(content("r1", ONE)).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    fake.wait_for_more(10).await;
    following.quiet();
    let asked = fake.asked();
    assert_eq!(asked[0].line, "POST /v1/Discover HTTP/1.1");
    assert!(asked[0].headers.contains(&"content-type: application/json".to_owned()), "{:?}", asked[0].headers);
    assert!(!asked[0].headers.iter().any(|header| header.starts_with("x-polaris-token")));
    let body = |revision: &[(&str, &str)]| {
        let mut service = serde_json::json!({"namespace": "shop", "name": "cart"});
        revision.iter().for_each(|(key, value)| service[*key] = (*value).into());
        serde_json::json!({"type": "INSTANCE", "service": service})
    };
    assert_eq!(asked[0].body, body(&[]));
    assert!(asked[1..].iter().all(|asked| asked.body == body(&[("revision", "r1")])), "{asked:#?}");
    assert_eq!(fake.connections(), 1, "connections are used again");
}

#[tokio::test]
async fn a_new_round_reports_what_did_not_change() {
    let fake = Fake::start(content("r1", ONE)).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    assert_eq!(following.next().await.state.last.unwrap().term, 0);
    // Slower from now on, and nothing else.
    following.cache.change_mode(|mode| mode.slow = true);
    fake.wait_for_more(3).await;
    following.quiet();
    let asked = fake.asked();
    let [.., before, last] = &*asked else { panic!("{asked:#?}") };
    // Five intervals, less the jitter.
    assert!(last.at - before.at >= Duration::from_millis(90), "{:?}", last.at - before.at);
    following.cache.change_mode(|mode| (mode.slow, mode.term) = (false, 3));
    let report = following.next().await;
    assert!(matches!(heard(&report), Heard::Listed(_)), "{report:?}");
    assert_eq!(report.state.last.unwrap().term, 3);
    assert_eq!(fake.asked().iter().filter(|asked| asked.revision().is_empty()).count(), 1, "the revision is kept");
    fake.wait_for_more(3).await;
    following.quiet();
}

#[tokio::test]
async fn what_was_asked_before_a_round_does_not_count_in_it() {
    // The first answer is on its way when the term begins, and comes late.
    let mut rule = content("r1", ONE);
    let mut first = true;
    let fake = Fake::start(move |asked| if std::mem::take(&mut first) { Reply::Hang } else { rule(asked) }).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    fake.wait_for_more(1).await;
    following.cache.change_mode(|mode| mode.term = 1);
    let report = following.next().await;
    assert_eq!(report.state.last.unwrap().term, 1);
    assert!(fake.asked().len() >= 2);
}

/// Checks what becomes of a recorded reply, sent with its recorded headers, when this service is asked for.
async fn check_recorded(reply: &'static str, service: ServiceKey, expected: Result<usize, &str>) {
    let fake = Fake::start(move |_| {
        let (head, body) = (fixture(&format!("{reply}.headers")), recorded(reply));
        let body = if head.contains("chunked") { format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()) } else { body };
        let head: Vec<&str> = head.lines().collect();
        Reply::Bytes(format!("{}\r\n\r\n{body}", head.join("\r\n").trim_end()))
    })
    .await;
    let mut following = follow_polaris(quick(&[&fake]), &[]);
    following.subscribe(service.clone());
    let report = following.next().await;
    assert_eq!(*report.service, service, "{reply}");
    let seen = match heard(&report) {
        Heard::Listed(content) => Ok(content.instances.len()),
        Heard::Missing => Err("missing"),
        Heard::Failed(error) => Err(error.kind()),
    };
    assert_eq!(seen, expected, "{reply}: {report:?}");
}

#[tokio::test]
async fn recorded_replies_are_understood() {
    let (orders, other) = (|| ServiceKey::new("prod", "orders"), || ServiceKey::new("prod", "other"));
    check_recorded("discover-full-mixed", orders(), Ok(6)).await;
    check_recorded("discover-full-mixed", other(), Err("wrong-service")).await;
    check_recorded("alias", ServiceKey::new("default", "e1795409641m-al"), Ok(13)).await;
    check_recorded("alias", ServiceKey::new("prod", "e1795409641m"), Err("wrong-service")).await;
    check_recorded("empty-service", ServiceKey::new("prod", "e1795409641"), Ok(0)).await;
    check_recorded("not-found-400202", ServiceKey::new("prod", "nosuch"), Err("missing")).await;
    check_recorded("unchanged-200001", orders(), Err("not-instances")).await;
    check_recorded("auth-denied-401001", orders(), Err("denied")).await;
    check_recorded("bad-json-400001", orders(), Err("refused")).await;
    check_recorded("unknown-field-400001", orders(), Err("refused")).await;
    check_recorded("empty-name", orders(), Err("refused")).await;
    check_recorded("services", orders(), Err("not-instances")).await;
}

#[tokio::test]
async fn a_body_of_an_unchanged_answer_is_not_looked_at_but_an_unasked_one_is_trouble() {
    let fake = Fake::start(|_| Reply::unchanged()).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    let error = following.failed("cart", "not-instances").await;
    assert!(error.to_string().contains("200001"), "{error}");
}

#[tokio::test]
async fn one_content_under_another_revision_is_no_news() {
    let fake = Fake::start(content("r1", ONE)).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    fake.rule(content("r2", ONE));
    fake.wait_for("the other revision", |asked| asked.iter().any(|asked| asked.revision() == "r2").then_some(())).await;
    fake.wait_for_more(3).await;
    following.quiet();
    fake.rule(content("r3", TWO));
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
}

#[tokio::test]
async fn another_order_is_no_news() {
    let mut turn = 0;
    let fake = Fake::start(move |asked| {
        turn += 1;
        let mut instances = TWO.to_vec();
        instances.rotate_left(turn % 2);
        Reply::polaris(listed(asked.name(), "r1", &instances))
    })
    .await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
    fake.wait_for_more(6).await;
    following.quiet();
}

#[tokio::test]
async fn new_content_under_the_old_revision_is_news() {
    let fake = Fake::start(|asked| Reply::polaris(listed(asked.name(), "r1", ONE))).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    fake.rule(|asked| Reply::polaris(listed(asked.name(), "r1", TWO)));
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
}

#[tokio::test]
async fn after_a_change_it_reads_in_full_once_more() {
    // The new revision comes with the old instances: only the second reading can show that.
    let fake = Fake::start(content("r1", ONE)).await;
    let config = PolarisConfig { recheck_after: Duration::from_millis(60), ..quick(&[&fake]) };
    let mut following = follow_polaris(config, &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    let fulls = |asked: &[Asked]| asked.iter().filter(|asked| asked.revision().is_empty()).count();
    fake.wait_for("a second full reading", |asked| (fulls(asked) == 2).then_some(())).await;
    let mut first = true;
    fake.rule(move |asked| match asked.revision() {
        "r1" if std::mem::take(&mut first) => Reply::polaris(listed(asked.name(), "r2", ONE)),
        "" => Reply::polaris(listed(asked.name(), "r2", TWO)),
        _ => Reply::unchanged(),
    });
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
}

#[tokio::test]
async fn every_so_often_it_reads_in_full() {
    let fake = Fake::start(content("r1", ONE)).await;
    let config = PolarisConfig { full_every: Duration::from_millis(100), ..quick(&[&fake]) };
    let mut following = follow_polaris(config, &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    fake.wait_for("four full readings", |asked| {
        (asked.iter().filter(|asked| asked.revision().is_empty()).count() >= 4).then_some(())
    })
    .await;
    assert!(fake.asked().iter().any(|asked| asked.revision() == "r1"));
    following.quiet();
}

#[tokio::test]
async fn a_service_that_does_not_exist_is_news_once() {
    let fake = Fake::start(|_| Reply::polaris(recorded("not-found-400202"))).await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    following.missing("cart").await;
    fake.wait_for_more(3).await;
    following.quiet();
    fake.rule(content("r1", ONE));
    following.hosts("cart", &["10.0.0.1"]).await;
    fake.rule(|_| Reply::polaris(recorded("not-found-400202")));
    following.missing("cart").await;
}

#[tokio::test]
async fn an_empty_namespace_is_the_default_one() {
    assert_eq!(ServiceKey::new("", "a").to_string(), "default/a");
}

#[tokio::test]
async fn each_service_is_asked_for_once_an_interval() {
    let fake = Fake::start(content("r1", ONE)).await;
    let interval = Duration::from_millis(100);
    let mut following = follow_polaris(PolarisConfig { interval, ..quick(&[&fake]) }, &["a", "b", "c", "d"]);
    for name in ["a", "b", "c", "d"] {
        // Each is wanted again, which changes nothing.
        following.want(&["a", "b", "c", "d"]);
        let _ = (name, following.next().await);
    }
    for name in ["a", "b", "c", "d"] {
        let times = |asked: &[Asked]| -> Vec<_> {
            asked.iter().filter(|asked| asked.name() == name).map(|asked| asked.at).collect()
        };
        let times = fake.wait_for("ten turns", |asked| Some(times(asked)).filter(|times| times.len() >= 12)).await;
        // The first turn has a random length. A late answer may make one turn look short, but not ten.
        assert!(times[11] - times[1] >= interval * 9, "{name}: {:?}", times[11] - times[1]);
    }
}

#[tokio::test]
async fn what_is_wanted_anew_is_asked_for_at_once_and_what_is_not_is_forgotten() {
    let fake = Fake::start(content("r1", ONE)).await;
    let config = PolarisConfig { interval: Duration::from_secs(3_600), ..quick(&[&fake]) };
    let mut following = follow_polaris(config, &["a"]);
    following.hosts("a", &["10.0.0.1"]).await;
    following.want(&["b"]);
    following.hosts("b", &["10.0.0.1"]).await;
    following.want(&["a", "b"]);
    following.hosts("a", &["10.0.0.1"]).await;
    assert!(fake.asked().iter().all(|asked| asked.revision().is_empty()));
}

#[tokio::test]
async fn a_slow_receiver_gets_the_latest() {
    let mut turn = 0;
    let fake = Fake::start(move |asked| {
        turn += 1;
        Reply::polaris(listed(asked.name(), "r1", &[("a", &format!("10.0.0.{turn}"))]))
    })
    .await;
    let mut following = follow_polaris(quick(&[&fake]), &["cart"]);
    fake.wait_for("twenty requests", |asked| (asked.len() >= 20).then_some(())).await;
    let host = following.listed("cart").await.instances[0].host.clone();
    let number: usize = host.rsplit('.').next().unwrap().parse().unwrap();
    assert!(number >= 19, "{host} was out of date");
}

#[tokio::test]
async fn it_ends_when_nobody_wants_or_hears_anything() {
    let fake = Fake::start(content("r1", ONE)).await;
    let registry = PolarisRegistry::new(quick(&[&fake])).unwrap();
    let (cache, queue) = ServiceCache::new();
    let task = tokio::spawn(registry.follow(queue));
    let subscription = cache.subscribe(&key("cart"));
    cache.next_report().await;
    drop((cache, subscription));
    tokio::time::timeout(super::fake::DEADLINE, task).await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_subscribes_anew_is_told_anew_even_if_it_is_not_seen_in_between() {
    let fake = Fake::start(content("r1", ONE)).await;
    let config = PolarisConfig { interval: Duration::from_secs(3_600), ..quick(&[&fake]) };
    let mut following = follow_polaris(config, &["a", "b"]);
    following.hosts("a", &["10.0.0.1"]).await;
    following.hosts("b", &["10.0.0.1"]).await;
    // Nothing runs between the two.
    following.want(&["b"]);
    following.want(&["a", "b"]);
    assert!(following.cache.get(&key("a")).unwrap().last.is_none());
    following.hosts("a", &["10.0.0.1"]).await;
    fake.wait_for("a is asked for anew", |asked| {
        (asked.iter().filter(|asked| asked.name() == "a" && asked.revision().is_empty()).count() == 2).then_some(())
    })
    .await;
    following.quiet();
}

#[tokio::test]
async fn a_token_is_read_again_when_it_is_denied_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "0ld-s3cret\n").unwrap();
    let fake = Fake::start(|asked| {
        if asked.headers.iter().any(|header| header == "x-polaris-token: n3w-s3cret") {
            content("r1", ONE)(asked)
        } else {
            Reply::polaris(recorded("auth-denied-401001"))
        }
    })
    .await;
    let config = PolarisConfig { token: TokenSource::File(path.clone()), ..quick(&[&fake]) };
    assert!(!format!("{config:?} {:?}", PolarisRegistry::new(config.clone()).unwrap()).contains("s3cret"));
    let mut following = follow_polaris(config, &["cart"]);
    let error = following.failed("cart", "denied").await;
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    assert!(fake.asked()[0].headers.contains(&"x-polaris-token: 0ld-s3cret".to_owned()));
    std::fs::write(&path, "n3w-s3cret").unwrap();
    following.hosts("cart", &["10.0.0.1"]).await;
    let value = TokenSource::Value("s3cret".to_owned());
    assert!(!format!("{value:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_token_that_cannot_be_used_is_refused_at_the_start() {
    let fake = Fake::start(|_| Reply::Close).await;
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, " \n").unwrap();
    for (token, words) in [
        (TokenSource::File(directory.path().join("none")), ["none", "No such file"]),
        (TokenSource::File(empty), ["empty", "it is empty"]),
        (TokenSource::Value("s3cret\nline".to_owned()), ["the given value", "characters"]),
    ] {
        let error = PolarisRegistry::new(PolarisConfig { token, ..quick(&[&fake]) }).unwrap_err().to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "no `{word}` in: {error}"));
        assert!(!error.contains("s3cret"));
    }
}
