//! Several replicas, one writer: by the API server's own account of who wrote what, and who held the lease meanwhile.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use polaris2istio_tests::servers::{ApiServer, User, Write};
use polaris2istio_tests::wait_for;
use serde_json::json;

use super::SOON;
use super::controller::{Controller, Start};
use super::lifecycle::before_api;
use super::world::{World, writes};

/// The log lines of a replica when its term begins, and when it ends without its own doing.
const LEADS: &str = "this replica writes from now on";
const LOST: &str = "the lease is lost";

/// A replica whose lease lasts so long.
fn replica(world: &World, duration: &str) -> Start {
    world.controller().flag("leader-election", "true").flag("lease-duration", duration)
}

/// Where their lease is: in the namespace that the controller is installed in.
fn lease_namespace(world: &World) -> String {
    format!("{}-system", world.namespace)
}

/// Two of them. The first one leads, the second one stands by.
async fn two(world: &World, duration: &str) -> (Controller, Controller) {
    let leader = replica(world, duration).start();
    leader.says(&[LEADS]).await;
    let standby = replica(world, duration).start();
    standby.says(&["another replica writes"]).await;
    (leader, standby)
}

/// Leads an entry through a change of leaders: `end` ends the leader, and a new entry shall be filled within this time.
async fn check_hand_over(name: &str, end: impl AsyncFnOnce(&mut Controller), within: Duration) {
    let Some((world, api)) = World::shared(name).await else { return };
    let (mut leader, standby) = two(&world, "15s").await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    let ended = Timestamp::now();
    end(&mut leader).await;
    world.create(&world.entry("copy").annotated("aeraki.net/polarisService", "cart")).await;
    world.endpoints("copy", &["10.0.0.1"]).await;
    let written = writes(api, &world.namespace).await;
    let next = written.iter().find(|write| write.name == "copy").unwrap();
    let took = next.answered.duration_since(ended);
    println!("{name}: the next write after {took:?}");
    assert!(took <= SignedDuration::try_from(within).unwrap(), "{took:?}");
    assert_eq!(standby.said(&[LEADS]), 1);
    check_one_writer(api, &world).await;
    assert_eq!(written.len(), 2, "nothing is written for the change itself: {written:#?}");
}

#[tokio::test]
async fn a_leader_that_is_stopped_hands_over_at_once() {
    let stop = async |leader: &mut Controller| leader.process.signal("TERM");
    check_hand_over("sigterm", stop, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_leader_that_is_killed_is_followed_within_the_lease() {
    let kill = async |leader: &mut Controller| leader.process.kill();
    check_hand_over("sigkill", kill, Duration::from_secs(15)).await;
}

/// A standby asks seldom, so what it knows may be older than what the last leader wrote.
#[tokio::test]
async fn a_new_leader_acts_on_no_old_answer() {
    let Some((world, api)) = World::shared("old-answer").await else { return };
    let seldom = || replica(&world, "15s").flag("poll-interval", "4s");
    let mut leader = seldom().start();
    leader.says(&[LEADS]).await;
    let standby = seldom().start();
    standby.says(&["another replica writes"]).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    world.register("cart", &["10.0.0.2"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    assert!(leader.stop().await.success());
    standby.says(&[LEADS]).await;
    world.create(&world.entry("copy").annotated("aeraki.net/polarisService", "cart")).await;
    world.endpoints("copy", &["10.0.0.1", "10.0.0.2"]).await;
    let written = writes(api, &world.namespace).await;
    let of_cart = written.iter().filter(|write| write.name == "cart").count();
    assert_eq!(of_cart, 2, "nothing is taken back: {written:#?}");
}

/// One that is frozen beyond its lease wakes up with old answers, and with changes of the entry that it has not seen.
#[tokio::test]
async fn a_leader_that_was_frozen_overwrites_nothing() {
    let Some((world, api)) = World::shared("frozen").await else { return };
    let (frozen, standby) = two(&world, "2s").await;
    for name in ["cart", "shop"] {
        world.register(name, &["10.0.0.1"]).await;
        world.create(&world.entry(name)).await;
        world.endpoints(name, &["10.0.0.1"]).await;
    }
    frozen.process.signal("STOP");
    // Not what the registry says: whoever may write puts it back.
    let drift = json!({"spec": {"endpoints": [{"address": "10.9.9.9"}]}});
    world.patch("shop", "operator", &drift).await;
    world.register("cart", &["10.0.0.2"]).await;
    standby.says(&[LEADS]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    world.deregister("cart", &["10.0.0.1"]).await;
    world.endpoints("cart", &["10.0.0.2"]).await;
    frozen.process.signal("CONT");
    frozen.says(&[LOST]).await;
    world.register("cart", &["10.0.0.3"]).await;
    world.endpoints("cart", &["10.0.0.2", "10.0.0.3"]).await;
    check_one_writer(api, &world).await;
    assert_eq!(frozen.said(&[LEADS]), 1);
}

/// One that is frozen in the middle of many writes goes on with none of them, while the next one is at the same.
#[tokio::test]
async fn a_leader_that_was_frozen_ends_its_writes() {
    let Some((world, api)) = World::shared("midway").await else { return };
    world.register("cart", &["10.0.0.1"]).await;
    let names: Vec<_> = (0..40).map(|number| format!("cart-{number}")).collect();
    for name in &names {
        world.create(&world.entry(name).annotated("aeraki.net/polarisService", "cart")).await;
    }
    let slow = || replica(&world, "2s").flag("write-rate", "4");
    let frozen = slow().start();
    wait_for("some are written", SOON, || async {
        let written = writes(api, &world.namespace).await.len();
        if written > 5 { Ok(()) } else { Err(written) }
    })
    .await;
    let standby = slow().start();
    standby.says(&["another replica writes"]).await;
    frozen.process.signal("STOP");
    standby.says(&[LEADS]).await;
    frozen.process.signal("CONT");
    for name in &names {
        world.endpoints(name, &["10.0.0.1"]).await;
    }
    check_one_writer(api, &world).await;
    assert!(standby.writes().len() > 5, "there was something left to write");
}

/// A write that is on its way when the lease ends arrives after the next leader's.
#[tokio::test]
async fn a_write_that_is_late_is_refused() {
    let Some((world, api)) = World::shared("late-leader").await else { return };
    let (proxy, kubeconfig) = before_api(&world).await;
    let leader = replica(&world, "6s").kubeconfig(&kubeconfig).start();
    leader.says(&[LEADS]).await;
    let standby = replica(&world, "6s").start();
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    // Just after a renewal, so that what is held next is not another one.
    let renewals = api.lease_writes(&lease_namespace(&world)).await.len();
    wait_for("the lease is renewed", SOON, || async {
        if api.lease_writes(&lease_namespace(&world)).await.len() > renewals { Ok(()) } else { Err("not yet") }
    })
    .await;
    proxy.hold();
    // It is put back at once.
    world.patch("cart", "operator", &json!({"spec": {"endpoints": [{"address": "10.9.9.9"}]}})).await;
    proxy.holds(400).await;
    leader.process.signal("STOP");
    standby.says(&[LEADS]).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    world.register("cart", &["10.0.0.2"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    proxy.release();
    wait_for("the late write arrives, and is refused", SOON, || async {
        let refused = api.writes(&world.namespace).await.into_iter().any(|write| write.code == 409);
        if refused { Ok(()) } else { Err("it does not") }
    })
    .await;
    leader.process.signal("CONT");
    leader.says(&[LOST]).await;
    world.register("cart", &["10.0.0.3"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;
    check_one_writer(api, &world).await;
}

/// Without the right to the lease nothing is written, and it is said which right that is.
#[tokio::test]
async fn a_right_to_the_lease_that_is_missing_is_named() {
    let Some((world, api)) = World::shared("no-lease").await else { return };
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let start = replica(&world, "2s").flag("state", "none").kubeconfig(&api.kubeconfig(User::Limited));
    let controller = start.start();
    controller.says(&["ERROR", "grant get, create and update on leases.coordination.k8s.io"]).await;
    assert_eq!(controller.said(&[LEADS]), 0);
    assert_eq!(controller.said(&["the lease cannot be used"]), 1);
}

/// A dry run takes part neither in the election nor in the shared state: it shows its writes at once, and replaces no
/// replica.
#[tokio::test]
async fn a_dry_run_beside_a_leader_takes_no_part() {
    let Some((world, api)) = World::shared("dry-beside").await else { return };
    world.register("cart", &["10.0.0.1", "127.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    // With other rules than the leader's, so that there is something to show beside it.
    let dry = || replica(&world, "15s").switch("dry-run").switch("allow-loopback").start();
    let first = dry();
    first.says(&["/cart", "would be written", "\"added\":2", "this is a dry run"]).await;
    let leader = replica(&world, "15s").start();
    leader.says(&[LEADS]).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    let second = dry();
    second.says(&["/cart", "would be written", "\"added\":1", "this is a dry run"]).await;
    world.register("cart", &["10.0.0.2"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    let leases = api.lease_writes(&lease_namespace(&world)).await;
    assert!(leases.iter().all(|lease| leader.leads_as(&holder(lease))), "{leases:#?}");
    let written = writes(api, &world.namespace).await;
    let written = written.iter().filter(|write| !write.uri.contains("dryRun=All")).count();
    assert_eq!(written, 2, "both by the leader");
    assert_eq!(leader.said(&["comparing a new module"]), 0, "what the dry runs convert by is no offer to the leader");
}

/// Two installations on one lease would leave one of them idle, which is said.
#[tokio::test]
async fn a_lease_of_other_replicas_is_told_from_ours() {
    let (Some((world, api)), Some((other, _))) = (World::shared("mine").await, World::shared("theirs").await) else {
        return;
    };
    let lease = format!("{}/shared", other.namespace);
    // The identity that has the right to both.
    let admin = api.kubeconfig(User::Admin);
    let theirs = replica(&other, "2s").flag("lease", &lease).kubeconfig(&admin).start();
    theirs.says(&[LEADS]).await;
    let mine = replica(&world, "2s").flag("lease", &lease).kubeconfig(&admin).start();
    mine.says(&["ERROR", "serve the namespace", &other.namespace, "another --lease"]).await;
}

/// Leaders end in every way while instances come and go.
#[tokio::test]
async fn there_is_one_writer_at_any_moment() {
    let Some((world, api)) = World::shared("churn").await else { return };
    let mut replicas: Vec<_> = (0..3).map(|_| replica(&world, "2s").start()).collect();
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    let mut frozen: Option<usize> = None;
    for round in 0..9_usize {
        let leader = leader(api, &world, &replicas).await;
        match round % 3 {
            0 => replicas[leader].process.signal("STOP"),
            1 => replicas[leader].process.kill(),
            _ => assert!(replicas[leader].stop().await.success()),
        }
        // Written by the next one, since this one cannot.
        let (old, new) = (format!("10.0.0.{}", round + 1), format!("10.0.0.{}", round + 2));
        world.register("cart", &[&new]).await;
        world.endpoints("cart", &[&old, &new]).await;
        world.deregister("cart", &[&old]).await;
        world.endpoints("cart", &[&new]).await;
        if let Some(woken) = frozen.take() {
            replicas[woken].process.signal("CONT");
        }
        match round % 3 {
            0 => frozen = Some(leader),
            _ => replicas[leader].start_again(),
        }
    }
    let written = writes(api, &world.namespace).await;
    assert!(written.len() >= 19, "{}", written.len());
    check_one_writer(api, &world).await;
}

/// Which of the replicas holds the lease.
async fn leader(api: &ApiServer, world: &World, replicas: &[Controller]) -> usize {
    wait_for("one of the replicas leads", SOON, || async {
        let leases = api.lease_writes(&lease_namespace(world)).await;
        let holder = leases.iter().rev().find(|write| write.code < 300).map(holder).unwrap_or_default();
        let named = |replica: &Controller| replica.leads_as(&holder);
        match replicas.iter().position(|replica| !holder.is_empty() && named(replica)) {
            Some(position) => Ok(position),
            None => Err(format!("the holder is `{holder}`")),
        }
    })
    .await
}

fn holder(lease: &Write) -> String {
    lease.body["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// Checks of every write of ours that was taken: whoever sent it held the lease when it arrived and when it was answered.
async fn check_one_writer(api: &ApiServer, world: &World) {
    let leases: Vec<_> =
        api.lease_writes(&lease_namespace(world)).await.into_iter().filter(|write| write.code < 300).collect();
    let written = writes(api, &world.namespace).await;
    for write in &written {
        // A change of holders happens somewhere between the request for it and its answer.
        let at_first = leases.iter().rfind(|lease| lease.answered <= write.received).map(holder);
        let at_last = leases.iter().rfind(|lease| lease.received <= write.answered).map(holder);
        for holder in [at_first, at_last] {
            let holder = holder.unwrap_or_default();
            let by_holder = !holder.is_empty() && write.user_agent.contains(&holder);
            assert!(by_holder, "`{holder}` held the lease when this was written: {write:#?}");
        }
    }
    println!("{} writes by {} terms' holders", written.len(), terms(&leases));
}

/// How often the lease changed hands.
fn terms(leases: &[Write]) -> usize {
    let mut holders: Vec<_> = leases.iter().map(holder).filter(|holder| !holder.is_empty()).collect();
    holders.dedup();
    holders.len()
}
