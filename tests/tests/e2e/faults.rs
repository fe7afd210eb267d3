//! Servers that fail: nothing is lost, and all goes on by itself.

use polaris2istio_tests::servers::{self, ApiServer, Polaris, PolarisOptions};
use polaris2istio_tests::wait_for;
use serde_json::json;

use super::SOON;
use super::canned::Canned;
use super::world::{World, by_controller, writes};

#[tokio::test]
async fn a_polaris_that_fails_costs_no_endpoint() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let mut polaris = Polaris::start(binaries, PolarisOptions::default()).await;
    let world = World::new(&servers.api, &polaris, "polaris-down").await;
    let mut controller = world.controller().flag("empty-hold", "1h").start();
    let hosts = ["10.0.0.1", "10.0.0.2"];
    world.register("cart", &hosts).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &hosts).await;
    let written = writes(&servers.api, &world.namespace).await;

    // Down, and the controller starts while it is.
    polaris.kill();
    controller.says(&["WARN", "cannot be reached"]).await;
    assert!(controller.stop().await.success());
    controller.start_again();
    world.create(&world.entry("late")).await;
    // After the second start: the first one's log has this line once.
    wait_for("it is told again", SOON, || async {
        let times = controller.said(&["cannot be reached"]);
        if times == 2 { Ok(()) } else { Err(times) }
    })
    .await;
    world.endpoints("cart", &hosts).await;
    world.endpoints("late", &[]).await;
    polaris.start_again().await;
    controller.says(&["answers again"]).await;
    world.register("late", &["10.0.0.5"]).await;
    world.endpoints("late", &["10.0.0.5"]).await;
    let after = writes(&servers.api, &world.namespace).await;
    let of_cart: Vec<_> = after.iter().filter(|write| write.name == "cart").collect();
    assert_eq!(of_cart, written.iter().collect::<Vec<_>>());

    // Restored from nothing: it answers that there is no such service.
    polaris.start_again_empty().await;
    controller.says(&["WARN", "held for 1h", "/cart", "no such service"]).await;
    controller.says(&["WARN", "held for 1h", "/late", "no such service"]).await;
    world.endpoints("cart", &hosts).await;
    // Instances that come back replace the held ones.
    world.register("cart", &["10.0.0.2", "10.0.0.3"]).await;
    world.endpoints("cart", &["10.0.0.2", "10.0.0.3"]).await;
    controller.says(&["no longer held", "/cart"]).await;
    world.endpoints("late", &["10.0.0.5"]).await;
}

#[tokio::test]
async fn a_polaris_that_denies_costs_no_endpoint() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let polaris = Polaris::start(binaries, PolarisOptions { client_auth: true, ..PolarisOptions::default() }).await;
    let world = World::new(&servers.api, &polaris, "denied").await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let mut controller = world.controller().flag("polaris-token", polaris.token()).start();
    world.endpoints("cart", &["10.0.0.1"]).await;
    assert!(controller.stop().await.success());
    assert!(!controller.process.log().contains(polaris.token()));
    let before = writes(&servers.api, &world.namespace).await;
    world.register("cart", &["10.0.0.2"]).await;
    for start in [world.controller(), world.controller().flag("polaris-token", "nonsense")] {
        let refused = start.start();
        refused.says(&["WARN", "denied access", "/cart", "give a token"]).await;
        world.endpoints("cart", &["10.0.0.1"]).await;
        assert_eq!(refused.said(&["denied access"]), 1);
    }
    assert_eq!(writes(&servers.api, &world.namespace).await, before);
    controller.start_again();
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
}

/// Answers of a registry in trouble, of something else at its address, and of what cuts them short.
#[tokio::test]
async fn answers_that_are_none_cost_no_endpoint() {
    let Some((world, api)) = World::shared("answers").await else { return };
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let mut controller = world.controller().start();
    world.endpoints("cart", &["10.0.0.1"]).await;
    assert!(controller.stop().await.success());
    let before = writes(api, &world.namespace).await;
    let named = format!(r#""service":{{"namespace":"{}","name":"cart"}}"#, world.namespace);
    let cases = [
        (500, r#"{"code":500001,"info":"store"}"#.into(), "500001"),
        (503, "<html>a proxy</html>".into(), "503"),
        (200, "<html>a web page</html>".into(), "not JSON"),
        (200, format!(r#"{{"code":200000,"type":"INSTANCE",{named},"instances":[{{"host":"10."#), "ends too early"),
        (
            200,
            format!(r#"{{"code":200000,"type":"INSTANCE",{named},"instances":[{{"port":"x"}}]}}"#),
            "instances[0].port",
        ),
    ];
    for (status, body, words) in cases {
        let canned = Canned::start(status, body).await;
        let mut controller =
            world.controller().flag("empty-hold", "0s").flag("polaris-address", &canned.address).start();
        controller.says(&["WARN", words]).await;
        canned.more_requests(3).await;
        assert_eq!(controller.said(&["WARN"]), 1, "{words}: {:#?}", controller.log());
        assert!(controller.stop().await.success(), "{words}");
    }
    assert_eq!(writes(api, &world.namespace).await, before);
    world.endpoints("cart", &["10.0.0.1"]).await;
}

#[tokio::test]
async fn the_last_instance_leaves_after_the_hold() {
    let Some((world, api)) = World::shared("hold").await else { return };
    for name in ["cart", "kept", "owner"] {
        world.register(name, &["10.0.0.1"]).await;
    }
    world.create(&world.entry("cart")).await;
    world.create(&world.entry("kept").annotated("aeraki.net/emptyHold", "never")).await;
    world.create(&world.entry("owner").annotated("aeraki.net/emptyHold", "0s")).await;
    world.patch("cart", "operator", &json!({"metadata": {"annotations": {"aeraki.net/emptyHold": "soon"}}})).await;
    let controller = world.controller().flag("empty-hold", "2s").start();
    for name in ["cart", "kept", "owner"] {
        world.endpoints(name, &["10.0.0.1"]).await;
    }
    for name in ["kept", "cart", "owner"] {
        world.deregister(name, &["10.0.0.1"]).await;
    }
    controller.says(&["WARN", "/kept", "held without end"]).await;
    controller.says(&["WARN", "/cart", "held for 2s"]).await;
    controller.says(&["WARN", "/cart", "aeraki.net/emptyHold", "`soon`", "--empty-hold counts"]).await;
    let held = std::time::Instant::now();
    world.endpoints("owner", &[]).await;
    world.endpoints("cart", &[]).await;
    // Half, since this clock starts only once the log line has been read.
    assert!(held.elapsed().as_millis() > 1_000, "after {:?}", held.elapsed());
    controller.says(&["/cart", "no longer held"]).await;
    world.endpoints("kept", &["10.0.0.1"]).await;
    let writes = writes(api, &world.namespace).await;
    let count = |name| writes.iter().filter(|write| write.name == name).count();
    assert_eq!((count("cart"), count("kept"), count("owner")), (2, 1, 2));
    // A service that is empty is followed on.
    for name in ["cart", "kept", "owner"] {
        world.register(name, &["10.0.0.2"]).await;
        world.endpoints(name, &["10.0.0.2"]).await;
    }
}

#[tokio::test]
async fn an_api_server_that_restarts_is_found_again() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let mut api = ApiServer::start(binaries).await;
    let world = World::new(&api, &servers.polaris, "api-down").await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let mut controller = world.controller().start();
    world.endpoints("cart", &["10.0.0.1"]).await;

    // Away while a write is due, and while an entry changes hands.
    api.kill();
    world.register("cart", &["10.0.0.2"]).await;
    controller.says(&["WARN", "not written", "/cart", "retrying"]).await;
    api.start_again().await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    controller.says(&["can be written again"]).await;
    // The watch too: an entry that is new to it.
    world.register("new", &["10.0.0.3"]).await;
    world.create(&world.entry("new")).await;
    world.endpoints("new", &["10.0.0.3"]).await;

    // Away when the controller starts.
    assert!(controller.stop().await.success());
    let written = taken(&api, &world).await;
    api.kill();
    controller.start_again();
    controller.says(&["WARN", "API server cannot be asked", "check the kubeconfig"]).await;
    api.start_again().await;
    world.register("new", &["10.0.0.4"]).await;
    world.endpoints("new", &["10.0.0.3", "10.0.0.4"]).await;
    assert_eq!(taken(&api, &world).await, written + 1, "only what changed");
}

/// How many writes of the controller the API server took.
async fn taken(api: &ApiServer, world: &World) -> usize {
    api.writes(&world.namespace).await.iter().filter(|write| by_controller(write) && write.code == 200).count()
}

#[tokio::test]
async fn entries_that_change_while_nobody_watches_are_seen() {
    let Some((world, _)) = World::shared("unwatched").await else { return };
    let mut controller = world.controller().start();
    for (name, host) in [("cart", "10.0.0.1"), ("gone", "10.0.0.2"), ("other", "10.0.0.3")] {
        world.register(name, &[host]).await;
        world.create(&world.entry(name)).await;
        world.endpoints(name, &[host]).await;
    }
    assert!(controller.stop().await.success());
    world.delete("gone").await;
    let edit = json!({"spec": {"endpoints": []}});
    world.patch("other", "kubectl-edit", &edit).await;
    world.patch("cart", "operator", &json!({"metadata": {"annotations": {"aeraki.net/polarisService": "gone"}}})).await;
    controller.start_again();
    world.endpoints("other", &["10.0.0.3"]).await;
    world.endpoints("cart", &["10.0.0.2"]).await;
    assert_eq!(world.get("gone").await, None);
}
