//! Faults of the API server, of its store, and of the rights in it.

use std::time::Duration;

use futures::FutureExt as _;
use polaris2istio_tests::servers::Release;

use super::deed::Deed;
use super::row::Row;
use super::stage::Stage;

/// How long a fault is held.
const HELD: Duration = Duration::from_secs(6);

/// The same for one that a request's time ends.
const HELD_LONG: Duration = Duration::from_secs(20);

/// The same for one that lasts until the waits between two tries are at their longest.
const HELD_LONGEST: Duration = Duration::from_secs(75);

/// The delay that an overloaded API server adds to each answer.
const SLOW: Duration = Duration::from_secs(2);

/// The rows.
pub(crate) const ROWS: [Row; 12] = [
    Row::new("API server: stop", |stage| stop(stage, HELD).boxed_local()).backs_off(),
    Row::new("API server: stop for 75 s", |stage| stop(stage, HELD_LONGEST).boxed_local()).backs_off(),
    Row::new("API server: kill -9", |stage| kill(stage).boxed_local()).backs_off(),
    Row::new("API server: 409 storm", |stage| conflicts(stage).boxed_local()).quick(),
    Row::new("API server: 410 on watch", |stage| expired(stage).boxed_local()).backs_off().quick(),
    Row::new("API server: 429", |stage| every(stage, Deed::refuse(429, "TooManyRequests")).boxed_local()).backs_off(),
    Row::new("API server: 500s", |stage| every(stage, Deed::refuse(500, "InternalError")).boxed_local()).backs_off(),
    Row::new("API server: slow", |stage| every(stage, Deed::Delay(SLOW)).boxed_local()),
    Row::new("API server: black hole", |stage| black_hole(stage).boxed_local()).backs_off(),
    Row::new("API server: watch goes silent", |stage| silent(stage).boxed_local()).quick(),
    Row::new("API server: RBAC withdrawn", |stage| rights(stage).boxed_local()).backs_off(),
    Row::new("API server: etcd paused", |stage| etcd(stage).boxed_local()).backs_off(),
];

/// It waits for open watches when it is told to stop, and is killed when its time is over, as in a pod.
async fn stop(stage: &mut Stage<'_>, held: Duration) {
    let _ = tokio::time::timeout(HELD, stage.servers.api.stop()).await;
    stage.hold(held).await;
    stage.servers.api.start_again().await;
}

async fn kill(stage: &mut Stage<'_>) {
    stage.servers.api.kill();
    stage.hold(HELD).await;
    stage.servers.api.start_again().await;
}

/// Every write has come too late.
async fn conflicts(stage: &mut Stage<'_>) {
    stage.kube.set(|asked| if asked.writes_entry() { Deed::refuse(409, "Conflict") } else { Deed::Pass });
    stage.hold(HELD).await;
    stage.kube.clear();
}

/// The watch ends, and every new one is too old.
async fn expired(stage: &mut Stage<'_>) {
    stage.kube.set(|asked| if asked.watches() { Deed::expire() } else { Deed::Pass });
    stage.kube.cut();
    stage.hold(HELD).await;
    stage.kube.clear();
}

/// Every request has this fate, the watch's too.
async fn every(stage: &mut Stage<'_>, deed: Deed) {
    stage.kube.all(deed);
    stage.kube.cut();
    stage.hold(HELD).await;
    stage.kube.clear();
}

/// Longer than the fifteen seconds that a write has.
async fn black_hole(stage: &mut Stage<'_>) {
    stage.kube.all(Deed::Hang);
    stage.kube.cut();
    stage.hold(HELD_LONG).await;
    stage.kube.clear();
}

/// Its connection stays, and nothing comes: no bookmark, and none of the changes of our own writes.
async fn silent(stage: &mut Stage<'_>) {
    stage.kube.silence();
    stage.hold(HELD).await;
    stage.kube.clear();
}

/// All that was bound to the controller's account is taken away, and installed again.
async fn rights(stage: &mut Stage<'_>) {
    for namespace in [&stage.world.namespace, &stage.world.release.namespace] {
        stage.servers.api.kubectl(&["delete", "rolebinding", "--all", "--namespace", namespace], "").await;
    }
    // A watch that runs is not asked again until it ends.
    stage.kube.cut();
    stage.hold(HELD).await;
    Stage::says(&stage.controller, "grant this identity").await;
    Release::install(&stage.servers.api, stage.servers.binaries, &stage.world.namespace).await;
}

async fn etcd(stage: &mut Stage<'_>) {
    stage.servers.api.freeze_store();
    stage.hold(HELD).await;
    stage.servers.api.thaw_store();
}
