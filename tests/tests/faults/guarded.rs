//! Faults that the guard is there for, over a restart of the controller and with its state taken away.

use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::DeleteParams;
use polaris2istio_tests::wait_for;
use serde_json::json;

use super::controller::Start;
use super::row::Row;
use super::stage::{CHURNED, Stage};
use super::{SOON, entry::addresses};

/// How long a fault is held: longer than any hold here that ends by time.
const HELD: Duration = Duration::from_secs(6);

/// How the alarm begins, and ends, in the log.
const ALARM: &str = "of 6 services lost half of their endpoints or more";
const OVER: &str = "disappearances are no longer held for all services";

/// Five services that get new instances, one every so often.
const ROLLED: [&str; 5] = ["bank", "mail", "news", "auth", "cart"];
const EVERY: Duration = Duration::from_secs(2);

/// The rows.
pub(crate) const ROWS: [Row; 4] = [
    Row::new("guard: killed during an alarm", |stage| killed(stage).boxed_local()).with(short),
    Row::new("guard: unlabelled during an alarm", |stage| unlabelled(stage).boxed_local()).with(short),
    Row::new("guard: five rollouts are no alarm", |stage| rollouts(stage).boxed_local()),
    Row::new("guard: state deleted during a pause", |stage| state(stage).boxed_local())
        .with(|start| start.socket())
        .quick(),
];

/// Nothing but the alarm holds for long.
fn short(start: Start) -> Start {
    start.flag("empty-hold", "3s").flag("removal-hold", "1s")
}

/// The next process finds one of two instances listed again, of which it could not know that an alarm is on.
async fn killed(stage: &mut Stage<'_>) {
    alarm(stage).await;
    stage.register_first_again().await;
    stage.controller.process.kill();
    stage.controller.start_again();
    stage.idle(HELD).await;
    stage.register_again().await;
    Stage::says(&stage.controller, OVER).await;
}

/// What was held of an entry that is ours no more does not keep the alarm.
async fn unlabelled(stage: &mut Stage<'_>) {
    let labelled = |registry: serde_json::Value| json!({"metadata": {"labels": {"registry": registry}}});
    alarm(stage).await;
    stage.world.patch("news", "operator", &labelled(serde_json::Value::Null)).await;
    stage.idle(HELD).await;
    stage.register_again().await;
    Stage::says(&stage.controller, OVER).await;
    stage.world.patch("news", "operator", &labelled("polaris".into())).await;
}

/// Polaris is empty, and the controller has told of it, also to whoever comes after it.
async fn alarm(stage: &mut Stage<'_>) {
    stage.servers.polaris.start_again_empty().await;
    Stage::says(&stage.controller, ALARM).await;
    let state = maps(stage);
    wait_for("the alarm is in the shared state", SOON, || async {
        let map = state.get("polaris2istio-state").await.unwrap();
        let text = map.data.unwrap_or_default().remove("state.json").unwrap_or_default();
        if text.contains("\"alarm\"") { Ok(()) } else { Err(text) }
    })
    .await;
}

/// All instances of five of six services are replaced, as when deployments roll.
async fn rollouts(stage: &mut Stage<'_>) {
    for (number, name) in ROLLED.into_iter().enumerate() {
        stage.replace_all(name, &format!("10.0.7{number}")).await;
        stage.idle(EVERY).await;
    }
    stage.idle(HELD).await;
    assert_eq!(stage.controller.said(&["lost half of their endpoints"]), 0, "a rollout is no loss");
}

/// Writes stay paused, and the state is there again.
async fn state(stage: &mut Stage<'_>) {
    stage.controller.verb(&["pause", "--reason", "a test"]);
    let before = addresses(&stage.world.get(CHURNED).await.unwrap()).len();
    let state = maps(stage);
    let uid = state.get("polaris2istio-state").await.unwrap().metadata.uid;
    let _ = state.delete("polaris2istio-state", &DeleteParams::default()).await.unwrap();
    wait_for("the state is written again", SOON, || async {
        let map = state.get_opt("polaris2istio-state").await.unwrap().unwrap_or_default();
        let text = map.data.unwrap_or_default().remove("state.json").unwrap_or_default();
        if map.metadata.uid != uid && text.contains("a test") { Ok(()) } else { Err(text) }
    })
    .await;
    stage.churn().await;
    stage.idle(HELD / 2).await;
    assert_eq!(addresses(&stage.world.get(CHURNED).await.unwrap()).len(), before, "it is paused");
    stage.controller.verb(&["resume"]);
}

fn maps(stage: &Stage<'_>) -> Api<ConfigMap> {
    Api::namespaced(stage.world.client(), &stage.world.release.namespace)
}
