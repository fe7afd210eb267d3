//! The life of entries as operators make, change and delete them.

use polaris2istio_tests::servers::ApiServer;
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::SOON;
use super::entry::addresses;
use super::proxy::Proxy;
use super::world::{World, by_controller, writes};

#[tokio::test]
async fn an_entry_may_come_before_or_after_its_service() {
    let Some((world, _)) = World::shared("order").await else { return };
    let controller = world.controller().start();
    world.create(&world.entry("before")).await;
    controller.says(&["service-missing", &world.namespace]).await;
    world.register("after", &["10.0.0.2"]).await;
    world.register("before", &["10.0.0.1"]).await;
    world.create(&world.entry("after")).await;
    world.endpoints("before", &["10.0.0.1"]).await;
    world.endpoints("after", &["10.0.0.2"]).await;
}

#[tokio::test]
async fn an_entry_that_is_made_anew_is_filled_again() {
    let Some((world, _)) = World::shared("anew").await else { return };
    let _controller = world.controller().start();
    world.register("cart", &["10.0.0.1", "10.0.0.2"]).await;
    let mut uids = Vec::new();
    for _ in 0..3 {
        world.create(&world.entry("cart")).await;
        let entry = world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
        uids.push(entry["metadata"]["uid"].clone());
        world.delete("cart").await;
    }
    uids.dedup();
    assert_eq!(uids.len(), 3);
    assert_eq!(world.get("cart").await, None);
}

/// A write for an entry that is deleted, or deleted and made anew, before it arrives.
#[tokio::test]
async fn a_write_never_brings_a_deleted_entry_back() {
    let Some((world, api)) = World::shared("late").await else { return };
    let (proxy, kubeconfig) = before_api(&world).await;
    let controller = world.controller().kubeconfig(&kubeconfig).start();
    for (host, anew) in [("10.0.0.2", false), ("10.0.0.3", true)] {
        world.create(&world.entry("cart")).await;
        world.register("cart", &["10.0.0.1"]).await;
        world.until("it is filled", "cart", |entry| addresses(entry).first() == Some(&"10.0.0.1")).await;
        let refused = refused(api, &world.namespace).await;
        proxy.hold();
        world.register("cart", &[host]).await;
        // Small frames of the watch's connection aside, only a write is so long.
        proxy.holds(400).await;
        world.delete("cart").await;
        if anew {
            world.create(&world.entry("cart").with(&json!({"metadata": {"labels": {"manager": "nobody"}}}))).await;
        }
        proxy.release();
        wait_for("the late write is refused", SOON, || async {
            if self::refused(api, &world.namespace).await > refused { Ok(()) } else { Err("no refusal yet") }
        })
        .await;
        let left = world.get("cart").await;
        match anew {
            false => assert_eq!(left, None),
            true => assert_eq!(addresses(&left.unwrap()), [""; 0]),
        }
    }
    assert_eq!(controller.said(&["ERROR"]), 0, "{:#?}", controller.log());
}

/// A proxy before the API server, and a kubeconfig that leads through it.
pub(crate) async fn before_api(world: &World) -> (Proxy, std::path::PathBuf) {
    let direct = std::fs::read_to_string(&world.release.kubeconfig).unwrap();
    let mut config: Value = serde_json::from_str(&direct).unwrap();
    let server = &mut config["clusters"][0]["cluster"]["server"];
    let proxy = Proxy::before(server.as_str().unwrap().trim_start_matches("https://")).await;
    *server = json!(format!("https://{}", proxy.address()));
    // Beside the other one, whose directory goes with its server.
    let path = world.release.kubeconfig.with_file_name(format!("{}.kubeconfig", world.namespace));
    std::fs::write(&path, config.to_string()).unwrap();
    (proxy, path)
}

/// How many writes of the controller were refused.
async fn refused(api: &ApiServer, namespace: &str) -> usize {
    let writes = api.writes(namespace).await;
    writes.iter().filter(|write| by_controller(write) && matches!(write.code, 409 | 422)).count()
}

#[tokio::test]
async fn an_entry_may_turn_to_another_service() {
    let Some((world, api)) = World::shared("rebound").await else { return };
    let controller = world.controller().flag("empty-hold", "0s").start();
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    world.register("other", &["10.0.0.7", "10.0.0.8"]).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    let turn = |service: &str| json!({"metadata": {"annotations": {"aeraki.net/polarisService": service}}});
    world.patch("cart", "operator", &turn("other")).await;
    world.endpoints("cart", &["10.0.0.7", "10.0.0.8"]).await;
    let before = writes(api, &world.namespace).await.len();
    assert_eq!(before, 2, "replaced in one write");
    // A service that has no instances may be a typo: not even a hold of 0s lets go of what is there.
    world.patch("cart", "operator", &turn("tpyo")).await;
    controller.says(&["WARN", "held without end", "other stay"]).await;
    world.endpoints("cart", &["10.0.0.7", "10.0.0.8"]).await;
    world.patch("cart", "operator", &turn("cart")).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    let writes = writes(api, &world.namespace).await;
    assert_eq!(writes.len(), before + 1, "nothing for the typo: {writes:#?}");
}

#[tokio::test]
async fn two_entries_on_one_service_are_one_question() {
    let Some((world, _)) = World::shared("shared").await else { return };
    let proxy = Proxy::before(&world.polaris).await;
    let _controller = world.controller().flag("polaris-address", &proxy.address()).start();
    world.create(&world.entry("alone")).await;
    world.create(&world.entry("cart")).await;
    world.create(&world.entry("copy").annotated("aeraki.net/polarisService", "cart")).await;
    world.register("alone", &["10.0.0.9"]).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.endpoints("alone", &["10.0.0.9"]).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    world.endpoints("copy", &["10.0.0.1"]).await;
    let (cart, alone) = (proxy.polls("cart"), proxy.polls("alone"));
    proxy.more_polls("alone", 40).await;
    let (cart, alone) = (proxy.polls("cart") - cart, proxy.polls("alone") - alone);
    // Twice as many would mean that each entry has a poll of its own; jitter makes out a few.
    assert!(cart.abs_diff(alone) < 10, "{cart} polls for two entries, {alone} for one");
    // One of two lets go; the other is served on.
    world.delete("copy").await;
    world.register("cart", &["10.0.0.2"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
}

#[tokio::test]
async fn an_entry_without_our_labels_is_let_go() {
    let Some((world, api)) = World::shared("unlabelled").await else { return };
    let proxy = Proxy::before(&world.polaris).await;
    let _controller = world.controller().flag("polaris-address", &proxy.address()).start();
    for name in ["cart", "witness"] {
        world.register(name, &["10.0.0.1"]).await;
        world.create(&world.entry(name)).await;
        world.endpoints(name, &["10.0.0.1"]).await;
    }
    world.patch("cart", "operator", &json!({"metadata": {"labels": {"registry": null}}})).await;
    let before = world.get("cart").await.unwrap();
    wait_for("it is not asked for any more", SOON, || async {
        let polls = proxy.polls("cart");
        proxy.more_polls("witness", 5).await;
        if proxy.polls("cart") == polls { Ok(()) } else { Err("it is") }
    })
    .await;
    world.register("cart", &["10.0.0.2"]).await;
    world.register("witness", &["10.0.0.2"]).await;
    world.endpoints("witness", &["10.0.0.1", "10.0.0.2"]).await;
    assert_eq!(world.get("cart").await.unwrap(), before, "not touched");
    let writes = writes(api, &world.namespace).await;
    assert_eq!(writes.iter().filter(|write| write.name == "cart").count(), 1, "{writes:#?}");
    // With its label back it is served again.
    world.patch("cart", "operator", &json!({"metadata": {"labels": {"registry": "polaris"}}})).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
}
