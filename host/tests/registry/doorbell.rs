//! The doorbell: a console that tells of changes, refuses, or tells what is not so.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use polaris2istio::registry::{DoorbellConfig, DoorbellKind, PolarisConfig, TokenSource};
use serde_json::json;

use super::fake::{Asked, Fake, Reply};
use super::follower::{Following, follow_polaris, quick};
use super::listed;

/// What the registry holds: the host and the revision of each service, by name, and what the console tells of it.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<Held>>);

#[derive(Clone, Default)]
struct Held {
    services: Vec<(&'static str, String, u32)>,
    /// What the console shows instead, if it is behind.
    shown: Option<Vec<(&'static str, String, u32)>>,
    refuses: bool,
}

impl Registry {
    fn set(&self, name: &'static str, host: &str) {
        let mut held = self.0.lock().unwrap();
        let next = held.services.iter().map(|(.., revision)| revision + 1).max().unwrap_or(1);
        held.services.retain(|(known, ..)| *known != name);
        held.services.insert(0, (name, host.into(), next));
    }

    fn remove(&self, name: &str) {
        self.0.lock().unwrap().services.retain(|(known, ..)| *known != name);
    }

    fn answer(&self, asked: &Asked) -> Reply {
        let held = self.0.lock().unwrap().clone();
        if !asked.line.starts_with("GET /naming/v1/instances?") {
            let found = held.services.iter().find(|(name, ..)| *name == asked.name());
            return match found {
                Some((name, host, revision)) => Reply::polaris(listed(name, &revision.to_string(), &[("a", host)])),
                None => Reply::polaris(listed(asked.name(), "none", &[])),
            };
        }
        if held.refuses {
            let body = json!({"code": 401_001, "info": "no such user"}).to_string();
            return Reply::Answer(401, String::new(), body);
        }
        let shown = held.shown.unwrap_or(held.services);
        let instance = |(name, _, revision): &(&str, String, u32)| {
            json!({"id": name, "service": name, "namespace": "shop", "revision": revision.to_string(),
                "ctime": "2026-01-01 00:00:00", "mtime": "2026-01-01 00:00:00", "service_token": "s3cret"})
        };
        let instances: Vec<_> = shown.iter().map(instance).collect();
        let body = json!({"code": 200_000, "info": "", "amount": instances.len(), "instances": instances});
        Reply::Answer(200, String::new(), body.to_string())
    }
}

/// Follows `a` and `b` of a registry with a doorbell.
async fn start(registry: &Registry, sweep: Duration) -> (Fake, Following) {
    registry.set("a", "10.0.0.1");
    registry.set("b", "10.0.0.2");
    let answers = registry.clone();
    let fake = Fake::start(move |asked| answers.answer(asked)).await;
    let address = format!("http://{}", fake.address).parse().unwrap();
    let doorbell =
        Some(DoorbellConfig { kind: DoorbellKind::Console, address, token: TokenSource::Value("of-a-user".into()) });
    let mut following = follow_polaris(PolarisConfig { doorbell, sweep, ..quick(&[&fake]) }, &["a", "b"]);
    following.next().await;
    following.next().await;
    (fake, following)
}

fn looks(asked: &[Asked]) -> usize {
    asked.iter().filter(|asked| asked.line.starts_with("GET")).count()
}

async fn looks_more(fake: &Fake, more: usize) {
    let before = looks(&fake.asked());
    fake.wait_for("looks", |asked| (looks(asked) >= before + more).then_some(())).await;
}

const SELDOM: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn what_rings_is_asked_for_and_nothing_else() {
    let registry = Registry::default();
    let (fake, mut following) = start(&registry, SELDOM).await;
    looks_more(&fake, 3).await;
    let before = fake.asked();
    assert!(before.iter().filter(|asked| asked.line.starts_with("GET")).all(|asked| {
        asked.line.contains("offset=0&limit=10 ") && asked.headers.contains(&"x-polaris-token: of-a-user".to_owned())
    }));
    looks_more(&fake, 4).await;
    let polls = |asked: &[Asked]| asked.len() - looks(asked);
    assert_eq!(polls(&fake.asked()), polls(&before), "nothing is asked for while nothing rings");
    registry.set("a", "10.0.0.9");
    following.hosts("a", &["10.0.0.9"]).await;
    // Twice in one second.
    registry.set("a", "10.0.0.8");
    following.hosts("a", &["10.0.0.8"]).await;
    let of_b = |asked: &[Asked]| asked.iter().filter(|asked| asked.name() == "b").count();
    assert_eq!(of_b(&fake.asked()), of_b(&before), "b did not ring");
    assert!(
        fake.asked().iter().rfind(|asked| asked.name() == "a").unwrap().revision().is_empty(),
        "it is read in full"
    );
    // A deletion is not in the list.
    registry.remove("b");
    following.hosts("b", &[]).await;
}

#[tokio::test]
async fn one_that_refuses_is_done_without() {
    let registry = Registry::default();
    registry.0.lock().unwrap().refuses = true;
    let (_fake, mut following) = start(&registry, SELDOM).await;
    registry.set("a", "10.0.0.9");
    following.hosts("a", &["10.0.0.9"]).await;
    registry.0.lock().unwrap().refuses = false;
    // It comes back by itself.
    let fake = _fake;
    looks_more(&fake, 8).await;
    let polls = |asked: &[Asked]| asked.len() - looks(asked);
    let before = polls(&fake.asked());
    looks_more(&fake, 4).await;
    assert!(polls(&fake.asked()) <= before + 2, "it is relied on now");
}

/// A console of another server, or one that is stuck.
#[tokio::test]
async fn one_that_tells_nothing_of_changes_is_not_relied_on() {
    let registry = Registry::default();
    let (fake, mut following) = start(&registry, Duration::from_millis(200)).await;
    looks_more(&fake, 3).await;
    {
        let mut held = registry.0.lock().unwrap();
        held.shown = Some(held.services.clone());
    }
    // Changes that are found within five seconds after the bell rang for all are not held against it, nor for four seconds any.
    let (begun, mut round) = (Instant::now(), 0);
    let polls = |asked: &[Asked]| asked.len() - looks(asked);
    loop {
        round += 1;
        let host = format!("10.0.1.{round}");
        registry.set("a", &host);
        following.hosts("a", &[&host]).await;
        let before = polls(&fake.asked());
        looks_more(&fake, 2).await;
        if polls(&fake.asked()) > before + 20 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it asks as without it");
    }
}
