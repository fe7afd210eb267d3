//! Losses that the guard weighs: what it was walked around with, each way a row, and what must not be mistaken for a loss.

use std::time::Duration;

use futures::FutureExt as _;
use polaris2istio::digest::Digest;
use polaris2istio_tests::servers::{Directory, Instance};
use serde_json::json;

use super::entry::addresses;
use super::row::Row;
use super::stage::{NAMES, STEADY, Stage};
use super::truth;

/// How long a loss goes on: longer than the hold of a loss of half.
const HELD: Duration = Duration::from_secs(6);

/// Between two instances that come back.
const EVERY: Duration = Duration::from_secs(2);

/// How soon a write overtakes others that wait: two of its turns.
const OVERTAKES: Duration = Duration::from_secs(4);

/// The service that loses instances.
const BLED: &str = "bank";

/// The services that turn unhealthy first, and the one that does so when the alarm is on.
const FIRST_SICK: [&str; 5] = ["cart", "shop", "mail", "news", "auth"];
const LAST_SICK: &str = "bank";

/// A section that means nothing, so that a module is another one.
const SECTION: &[u8] = b"\x00\x05\x04more";

/// The rows.
pub(crate) const ROWS: [Row; 7] = [
    Row::new("guard: module taken back in a loss", |stage| taken_back(stage).boxed_local())
        .with(|start| start.socket()),
    Row::new("guard: slow bleed", |stage| bleed(stage).boxed_local()),
    Row::new("guard: all vanish, one comes back", |stage| one_back(stage).boxed_local())
        .with(|start| start.flag("removal-hold", "1s")),
    Row::new("guard: health checker lost", |stage| sick(stage).boxed_local()),
    Row::new("guard: protocol mistyped", |stage| mistyped(stage).boxed_local()).quick(),
    Row::new("guard: isolated while writes wait", |stage| isolated(stage).boxed_local())
        .with(|start| start.flag("write-rate", "1")),
    Row::new("guard: came and went once", |stage| once(stage).boxed_local()),
];

/// Instances of these numbers beside those that stay.
fn hosts(numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|number| format!("10.0.6.{number}")).collect()
}

fn instances(stage: &Stage<'_>, service: &str, hosts: &[&str]) -> Vec<Instance> {
    hosts.iter().map(|host| truth::instance(&stage.world, service, host)).collect()
}

fn texts(hosts: &[String]) -> Vec<&str> {
    hosts.iter().map(String::as_str).collect()
}

/// They register, and are published when this returns.
async fn come(stage: &Stage<'_>, service: &str, hosts: &[&str]) {
    stage.known.lock().unwrap().came(service, hosts);
    stage.world.admin.register_all(&instances(stage, service, hosts)).await;
    stage.world.admin.pull(&stage.world.namespace).await;
    let all = |entry: &serde_json::Value| hosts.iter().all(|host| addresses(entry).contains(host));
    stage.world.until("those that came", service, all).await;
}

/// The service grows under one module, loses nearly all under the next, and that one is taken back.
async fn taken_back(stage: &mut Stage<'_>) {
    let (directory, module) = (Directory::new("rules"), super::embedded().await);
    let path = directory.write("rules.wasm", &module);
    stage.replace(stage.start().flag("module", &format!("file:{}", path.display()))).await;
    Stage::says(&stage.controller, "conversion module loaded").await;
    let other = directory.write(".rules.wasm", [&module, SECTION].concat());
    std::fs::rename(other, &path).unwrap();
    Stage::says(&stage.controller, "module changed").await;
    let grown = hosts(1..=8);
    come(stage, BLED, &texts(&grown)).await;
    let lost: Vec<_> = texts(&grown).into_iter().chain([STEADY[1]]).collect();
    stage.world.deregister(BLED, &lost).await;
    Stage::says(&stage.controller, "endpoints held").await;
    stage.controller.verb(&["module", "rollback", &Digest::of(&module).to_string()]);
    Stage::says(&stage.controller, "module rolled back").await;
    stage.idle(HELD).await;
    come(stage, BLED, &lost).await;
}

/// Less than half at a time: what goes beyond half of what there was stays.
async fn bleed(stage: &mut Stage<'_>) {
    let all = hosts(1..=16);
    come(stage, BLED, &texts(&all)).await;
    let all = texts(&all);
    let (first, rest) = all.split_at(8);
    first.iter().for_each(|host| stage.known.lock().unwrap().goes(BLED, host));
    stage.world.deregister(BLED, first).await;
    stage.world.until("a part goes", BLED, |entry| addresses(entry).len() == 10).await;
    for lost in rest.chunks(3) {
        stage.world.deregister(BLED, lost).await;
        stage.idle(EVERY).await;
    }
    stage.idle(HELD).await;
    come(stage, BLED, rest).await;
}

/// The first ones that come back make nobody else's end earlier.
async fn one_back(stage: &mut Stage<'_>) {
    let grown = hosts(1..=18);
    come(stage, BLED, &texts(&grown)).await;
    let all: Vec<_> = texts(&grown).into_iter().chain(STEADY).collect();
    stage.world.deregister(BLED, &all).await;
    stage.idle(EVERY * 2).await;
    for host in &all[..5] {
        come(stage, BLED, &[host]).await;
        stage.idle(EVERY).await;
    }
    stage.idle(HELD).await;
    come(stage, BLED, &all).await;
}

/// One of two instances of most services is called unhealthy at once: from the alarm on, what is unhealthy stays.
async fn sick(stage: &mut Stage<'_>) {
    for service in FIRST_SICK {
        // Until it is known that there are many, it is each service's own matter.
        stage.known.lock().unwrap().goes(service, STEADY[1]);
    }
    flag(stage, &FIRST_SICK, false).await;
    Stage::says(&stage.controller, "of 6 services lost half of their endpoints or more").await;
    flag(stage, &[LAST_SICK], false).await;
    stage.idle(HELD).await;
    flag(stage, &NAMES, true).await;
    Stage::says(&stage.controller, "disappearances are no longer held for all services").await;
}

async fn flag(stage: &Stage<'_>, services: &[&str], healthy: bool) {
    for service in services {
        stage.known.lock().unwrap().came(service, &[STEADY[1]]);
        stage.world.admin.update(&truth::instance(&stage.world, service, STEADY[1]).healthy(healthy)).await;
    }
    stage.world.admin.pull(&stage.world.namespace).await;
}

/// A protocol that no instance has takes nothing away.
async fn mistyped(stage: &mut Stage<'_>) {
    let asks = |protocol: serde_json::Value| json!({"metadata": {"annotations": {"aeraki.net/protocol": protocol}}});
    stage.world.patch(BLED, "operator", &asks("htpp".into())).await;
    Stage::says(&stage.controller, "asks for `htpp`, which no instance has").await;
    stage.idle(HELD).await;
    stage.world.patch(BLED, "operator", &asks(serde_json::Value::Null)).await;
}

/// New instances of all services wait for their writes, and are isolated before; so is one that is published.
async fn isolated(stage: &mut Stage<'_>) {
    let (new, gone) = ("10.0.6.1", STEADY[1]);
    for service in NAMES {
        stage.known.lock().unwrap().came(service, &[new]);
    }
    let all: Vec<_> = NAMES.iter().flat_map(|service| instances(stage, service, &[new])).collect();
    stage.world.admin.register_all(&all).await;
    stage.world.admin.pull(&stage.world.namespace).await;
    published(stage, new, 1).await;
    for service in NAMES {
        stage.known.lock().unwrap().goes(service, new);
        stage.world.admin.update(&truth::instance(&stage.world, service, new).isolate(true)).await;
    }
    stage.known.lock().unwrap().goes(BLED, gone);
    stage.world.admin.update(&truth::instance(&stage.world, BLED, gone).isolate(true)).await;
    stage.world.admin.pull(&stage.world.namespace).await;
    let isolated = std::time::Instant::now();
    stage.world.until("it is isolated", BLED, |entry| !addresses(entry).contains(&gone)).await;
    assert!(isolated.elapsed() < OVERTAKES, "an isolation took {:?}", isolated.elapsed());
    stage.idle(HELD).await;
    published(stage, new, 0).await;
    let writes = stage.servers.api.writes(&stage.world.namespace).await;
    let given = writes.iter().filter(|write| addresses(&write.body).contains(&new)).count();
    assert!(given < NAMES.len(), "{given} entries were given an instance that was isolated before");
    stage.world.admin.deregister_all(&all).await;
    stage.world.admin.update(&truth::instance(&stage.world, BLED, gone).isolate(false)).await;
}

/// Waits until so many entries have an endpoint there, or more.
async fn published(stage: &Stage<'_>, host: &str, count: usize) {
    polaris2istio_tests::wait_for("so many have it", super::SOON, || async {
        let mut have = 0;
        for name in NAMES {
            let entry = stage.world.get(name).await.unwrap_or_default();
            have += usize::from(addresses(&entry).contains(&host));
        }
        if have >= count && (count > 0 || have == 0) { Ok(()) } else { Err(have) }
    })
    .await;
}

/// Each service gains an instance and loses it again, once.
async fn once(stage: &mut Stage<'_>) {
    let host = "10.0.6.1";
    for service in NAMES {
        come(stage, service, &[host]).await;
    }
    for service in NAMES {
        stage.known.lock().unwrap().goes(service, host);
        stage.world.deregister(service, &[host]).await;
    }
    stage.idle(HELD).await;
    assert_eq!(stage.controller.said(&["flap"]), 0, "one that comes and goes once is a rollout");
}
