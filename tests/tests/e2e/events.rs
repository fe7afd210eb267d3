//! Events on the entries: what their owners are told, and how often.

use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use polaris2istio_tests::servers::ApiServer;
use polaris2istio_tests::wait_for;
use serde_json::json;

use super::SOON;
use super::world::World;

/// An Event: its reason, its type, how often it came, and words of its note.
type Told = (&'static str, &'static str, i32, &'static str);

/// The Events on an object of a namespace in the order in which they came.
async fn events(api: &ApiServer, namespace: &str, name: &str) -> Vec<Event> {
    let all = Api::<Event>::namespaced(api.client().await, namespace);
    let mut events = all.list(&ListParams::default()).await.unwrap().items;
    events.retain(|event| event.regarding.as_ref().is_some_and(|regarding| regarding.name.as_deref() == Some(name)));
    events.sort_by_key(|event| event.event_time.clone());
    events
}

fn fits(event: &Event, (reason, kind, times, words): &Told) -> bool {
    event.reason.as_deref() == Some(reason)
        && event.type_.as_deref() == Some(kind)
        && event.series.as_ref().map_or(1, |series| series.count) == *times
        && event.note.as_ref().is_some_and(|note| note.contains(words))
}

async fn until_events(api: &ApiServer, world: &World, name: &str, expected: &[Told]) {
    until_events_in(api, &world.namespace, name, expected).await;
}

async fn until_events_in(api: &ApiServer, namespace: &str, name: &str, expected: &[Told]) {
    wait_for(&format!("{name} has the Events {expected:?}"), SOON, || async {
        let seen = events(api, namespace, name).await;
        let all = seen.len() == expected.len() && seen.iter().zip(expected).all(|(event, told)| fits(event, told));
        if all { Ok(()) } else { Err(format!("{seen:#?}")) }
    })
    .await;
}

#[tokio::test]
async fn owners_are_told_by_events() {
    let Some((world, api)) = World::shared("events").await else { return };
    let _controller = world.controller().start();
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart").annotated("aeraki.net/external", "perhaps")).await;
    let mut told = vec![("Rejected", "Warning", 1, "\"perhaps\"")];
    until_events(api, &world, "cart", &told).await;
    // Another look at it says nothing new.
    world.patch("cart", "operator", &json!({"metadata": {"annotations": {"note": "looked at again"}}})).await;
    let external = async |text: &str| {
        world.patch("cart", "operator", &json!({"metadata": {"annotations": {"aeraki.net/external": text}}})).await;
    };
    external("true").await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    told.push(("Recovered", "Normal", 1, "over: "));
    until_events(api, &world, "cart", &told).await;
    // The same again is the same Event; other words make another one.
    external("perhaps").await;
    told[0].2 = 2;
    until_events(api, &world, "cart", &told).await;
    external("never").await;
    told.push(("Rejected", "Warning", 1, "\"never\""));
    until_events(api, &world, "cart", &told).await;
}

/// A hold that becomes one of another kind: what the first Event says is not true any more.
#[tokio::test]
async fn another_hold_is_another_event() {
    let Some((world, api)) = World::shared("holds").await else { return };
    let _controller = world.controller().flag("removal-hold", "1h").start();
    let hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    world.register("cart", &hosts).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &hosts).await;
    world.deregister("cart", &hosts[..3]).await;
    let removal = ("EndpointsHeldRemoval", "Warning", 1, "vanished from the registry within 10m");
    until_events(api, &world, "cart", &[removal]).await;
    world.deregister("cart", &hosts[3..]).await;
    let empty = ("EndpointsHeldEmpty", "Warning", 1, "the service lists no instance any more");
    until_events(api, &world, "cart", &[removal, empty]).await;
}

/// Who gave a command stands on the Lease of the replicas, whichever of them it was given to.
#[tokio::test]
async fn commands_are_told_on_the_lease() {
    let Some((world, api)) = World::shared("commands").await else { return };
    let replica = || world.controller().flag("leader-election", "true").socket();
    let leader = replica().start();
    leader.says(&["this replica writes from now on"]).await;
    leader.verb(&["pause", "--reason", "maintenance"]);
    leader.verb(&["resume"]);
    let standby = replica().start();
    standby.says(&["another replica writes"]).await;
    standby.verb(&["module", "release", "--all"]);
    standby.verb(&["module", "status"]);
    let told = [
        ("WritesPaused", "Normal", 1, "`pause maintenance` by command of user "),
        ("WritesResumed", "Normal", 1, "`resume` by command of user "),
        ("HoldsReleased", "Normal", 1, "`module release --all` by command of user "),
    ];
    let own = &world.release.namespace;
    until_events_in(api, own, "polaris2istio", &told).await;
    // `kubectl describe` finds them by it.
    let seen = events(api, own, "polaris2istio").await;
    assert!(seen.iter().all(|event| event.regarding.as_ref().is_some_and(|lease| lease.uid.is_some())), "{seen:#?}");
}

/// A trouble that a leader told is over for its Events too, even if it ended while another one led.
#[tokio::test]
async fn what_ended_in_anothers_term_is_told_as_over() {
    let Some((world, api)) = World::shared("terms").await else { return };
    let replica = || world.controller().flag("leader-election", "true").flag("lease-duration", "2s");
    let leads = "this replica writes from now on";
    let first = replica().start();
    first.says(&[leads]).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart").annotated("aeraki.net/external", "perhaps")).await;
    let rejected = ("Rejected", "Warning", 1, "\"perhaps\"");
    let recovered = ("Recovered", "Normal", 1, "over: ");
    until_events(api, &world, "cart", &[rejected]).await;
    let mut second = replica().start();
    second.says(&["another replica writes"]).await;
    first.process.signal("STOP");
    second.says(&[leads]).await;
    until_events(api, &world, "cart", &[rejected; 2]).await;
    first.process.signal("CONT");
    first.says(&["the lease is lost"]).await;
    world.patch("cart", "operator", &json!({"metadata": {"annotations": {"aeraki.net/external": "true"}}})).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    until_events(api, &world, "cart", &[rejected, rejected, recovered]).await;
    assert!(second.stop().await.success());
    // By each of the two.
    until_events(api, &world, "cart", &[rejected, rejected, recovered, recovered]).await;
    assert_eq!(first.said(&[leads]), 2);
}
