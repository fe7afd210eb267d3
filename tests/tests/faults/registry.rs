//! Faults of the registry, and of what lies before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use serde_json::json;

use super::deed::Deed;
use super::gate::Gate;
use super::row::Row;
use super::stage::{CHURNED, Stage};

/// How long a fault is held.
const HELD: Duration = Duration::from_secs(6);

/// The same for those that a request's time ends: longer than the ten seconds that it has.
const HELD_LONG: Duration = Duration::from_secs(15);

/// The same for those that last until the waits between two tries are at their longest.
const HELD_LONGEST: Duration = Duration::from_secs(75);

/// How long a replica of Polaris does not know what another one does.
const BEHIND: Duration = Duration::from_secs(1);

/// The delay that an overloaded Polaris adds to each answer.
const SLOW: Duration = Duration::from_secs(3);

/// The rows.
pub(crate) const ROWS: [Row; 17] = [
    Row::new("registry: stop", |stage| stop(stage).boxed_local()).backs_off(),
    Row::new("registry: kill -9", |stage| kill(stage, HELD).boxed_local()).backs_off().quick(),
    Row::new("registry: kill -9 for 75 s", |stage| kill(stage, HELD_LONGEST).boxed_local()).backs_off(),
    Row::new("registry: restart empty", |stage| restart_empty(stage).boxed_local()).quick(),
    Row::new("registry: restart slow", |stage| restart_slow(stage).boxed_local()).backs_off(),
    Row::new("registry: black hole", |stage| every_for(stage, HELD_LONG, Deed::Hang).boxed_local()).backs_off(),
    Row::new("registry: reset mid-body", |stage| every(stage, Deed::Cut).boxed_local()).backs_off().quick(),
    Row::new("registry: 1 byte/s", |stage| every_for(stage, HELD_LONG, Deed::Trickle).boxed_local()).backs_off(),
    Row::new("registry: wrong content type", |stage| every(stage, web_page()).boxed_local()).backs_off().quick(),
    Row::new("registry: garbage", |stage| every(stage, garbage()).boxed_local()).backs_off(),
    Row::new("registry: 429", |stage| every(stage, limited()).boxed_local()).backs_off(),
    Row::new("registry: 429 for 75 s", |stage| every_for(stage, HELD_LONGEST, limited()).boxed_local()).backs_off(),
    Row::new("registry: 500", |stage| every(stage, failed()).boxed_local()).backs_off(),
    Row::new("registry: 401, then right again", |stage| every(stage, denied()).boxed_local()).backs_off().quick(),
    Row::new("registry: revision flapping", |stage| flapping(stage).boxed_local()).quick(),
    Row::new("registry: old answer after new", |stage| old_after_new(stage).boxed_local()),
    Row::new("registry: one server of two bad", |stage| one_of_two(stage).boxed_local()),
];

async fn stop(stage: &mut Stage<'_>) {
    stage.churn().await;
    stage.servers.polaris.stop().await;
    stage.servers.polaris.start_again().await;
}

async fn kill(stage: &mut Stage<'_>, held: Duration) {
    stage.churn().await;
    stage.servers.polaris.kill();
    stage.idle(held).await;
    stage.servers.polaris.start_again().await;
}

/// Empty until all have registered again.
async fn restart_empty(stage: &mut Stage<'_>) {
    stage.servers.polaris.start_again_empty().await;
    Stage::says(&stage.controller, "no such service").await;
    stage.idle(HELD).await;
    stage.register_again().await;
}

async fn restart_slow(stage: &mut Stage<'_>) {
    stage.servers.polaris.kill();
    stage.registry.all(Deed::Delay(SLOW));
    stage.servers.polaris.start_again().await;
    stage.hold(HELD).await;
    stage.registry.clear();
}

/// Every question has this fate.
async fn every(stage: &mut Stage<'_>, deed: Deed) {
    every_for(stage, HELD, deed).await;
}

async fn every_for(stage: &mut Stage<'_>, held: Duration, deed: Deed) {
    stage.registry.all(deed);
    stage.hold(held).await;
    stage.registry.clear();
}

fn web_page() -> Deed {
    Deed::Reply(200, "text/html", "<html>Please log in</html>".into())
}

fn garbage() -> Deed {
    Deed::Reply(200, "application/json", Bytes::from_static(b"\x00\xff\xfe{\"code\":200000,\"instances\":[\x80]}"))
}

fn limited() -> Deed {
    Deed::Reply(429, "application/json", r#"{"code":429001,"info":"too many requests"}"#.into())
}

fn failed() -> Deed {
    Deed::Reply(500, "application/json", r#"{"code":500001,"info":"store layer exception"}"#.into())
}

fn denied() -> Deed {
    Deed::Reply(401, "application/json", r#"{"code":401001,"info":"auth token verify exception"}"#.into())
}

/// Each answer has a new revision.
async fn flapping(stage: &mut Stage<'_>) {
    let next = AtomicU64::new(0);
    let change = Arc::new(move |mut answer: serde_json::Value| {
        if answer["service"].is_object() {
            answer["service"]["revision"] = json!(format!("{:040x}", next.fetch_add(1, Ordering::Relaxed)));
        }
        answer
    });
    stage.registry.all(Deed::Change(change));
    stage.hold(HELD).await;
    stage.registry.clear();
}

/// The first of two servers has told of an instance, and fails; the second one is behind for a second, as replicas are.
async fn old_after_new(stage: &mut Stage<'_>) {
    let old = stage.world.admin.discover(&stage.world.namespace, CHURNED).await.0;
    let second = Gate::before(&format!("http://{}", stage.world.polaris), None).await;
    let both = format!("{},{}", stage.registry.address(), second.address());
    stage.replace(stage.start().flag("polaris-address", &both)).await;
    stage.add(CHURNED, "10.0.8.1").await;
    let old = Bytes::from(old.to_string());
    let first = OnceLock::new();
    second.set(move |question| match question.service(CHURNED) && first.get_or_init(Instant::now).elapsed() < BEHIND {
        true => Deed::Reply(200, "application/json", old.clone()),
        false => Deed::Pass,
    });
    stage.registry.all(failed());
    stage.idle(HELD).await;
    second.clear();
}

/// The first of two answers nothing at all, to the end: the other one is to do.
async fn one_of_two(stage: &mut Stage<'_>) {
    let both = format!("{},{}", stage.registry.address(), stage.world.polaris);
    stage.replace(stage.start().flag("polaris-address", &both)).await;
    stage.registry.all(Deed::Hang);
    stage.registry.holds().await;
    // A server that is silent is left once a request's time is over.
    stage.hold(HELD_LONG).await;
}
