//! A request through a sidecar reaches what is registered, and follows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polaris2istio_tests::servers::{Envoy, Instance};
use polaris2istio_tests::{Backend, wait_for};

use super::load::Load;
use super::mesh::{Callable, Mesh};
use super::recipes;
use super::world::World;
use super::{SOON, report};

/// Waits until a request is answered by this backend.
pub(crate) async fn answered(envoy: &Envoy, callable: &Callable, headers: &[(&str, &str)], name: &str) {
    wait_for(&format!("{name} answers"), SOON, || async {
        let answer = envoy.get_with(&callable.host, callable.port, headers).await;
        if answer.as_deref() == Ok(name) { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

pub(crate) fn instance(world: &World, service: &str, backend: &Backend) -> Instance {
    Instance::new(&world.namespace, service, "127.0.0.1", backend.port()).protocol("http").weight(100)
}

#[tokio::test]
async fn traffic_moves_without_a_failure() {
    let Some(mesh) = Mesh::shared().await else { return };
    let (world, envoy) = (mesh.world("moves").await, Arc::new(mesh.envoy().await));
    let _controller = world.controller().switch("allow-loopback").start();
    let cart = Callable::new(&world, "cart");
    let (old, new) = (Backend::start("old").await, Backend::start("new").await);
    world.admin.register(&instance(&world, "cart", &old)).await;
    world.create(&cart.entry).await;
    answered(&envoy, &cart, &[], "old").await;

    let load = Load::start(&envoy, &cart.host, cart.port);
    load.answered_by("old", 0).await;
    world.admin.register(&instance(&world, "cart", &new)).await;
    load.answered_by("new", 0).await;
    world.admin.deregister(&instance(&world, "cart", &old)).await;
    load.answered_only_by("new").await;
    let all = load.since(0);
    let failed: Vec<_> = all.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), all.len(), failed[0]);
    report(&format!("traffic moved from one instance to another: {} requests, 0 failed", all.len()));
}

#[tokio::test]
async fn weights_and_versions_are_kept_to() {
    let Some(mesh) = Mesh::shared().await else { return };
    let (world, envoy) = (mesh.world("weights").await, mesh.envoy().await);
    let _controller = world.controller().switch("allow-loopback").start();
    let cart = Callable::new(&world, "cart");
    let (one, two) = (Backend::start("one").await, Backend::start("two").await);
    world.admin.register(&instance(&world, "cart", &one).weight(70).version("v1")).await;
    world.admin.register(&instance(&world, "cart", &two).weight(30).version("v2")).await;
    world.create(&cart.entry).await;
    answered(&envoy, &cart, &[], "one").await;
    answered(&envoy, &cart, &[], "two").await;
    let shares = shares_of_thousand(&envoy, &cart).await;
    assert!((670..=730).contains(&shares["one"]), "{shares:?}");
    report(&format!("weights 70 and 30, 1000 requests: {shares:?}"));

    // The version is a label of the endpoint, by which a DestinationRule selects.
    mesh.apply_text(&recipes::text(recipes::CANARY, &world, &cart)).await;
    let header = [("x-canary", "yes")];
    wait_for("only the canary answers", SOON, || async {
        for _ in 0..50 {
            let answer = envoy.get_with(&cart.host, cart.port, &header).await;
            if answer.as_deref() != Ok("two") {
                return Err(format!("{answer:?}"));
            }
        }
        Ok(())
    })
    .await;
    // Nine of ten of the others stay with the old version, whatever the weights of the instances. Envoy throws dice for each request
    // here, so that the share has a deviation of 9.5: five of them are seen once in a million runs.
    let shares = shares_of_thousand(&envoy, &cart).await;
    assert!((852..=948).contains(&shares["one"]), "{shares:?}");
}

/// How many of a thousand requests each backend answered.
async fn shares_of_thousand(envoy: &Envoy, callable: &Callable) -> BTreeMap<String, u32> {
    let mut shares = BTreeMap::new();
    for _ in 0..1000 {
        *shares.entry(envoy.get(&callable.host, callable.port).await.unwrap()).or_insert(0) += 1;
    }
    shares
}

/// From the registry's word that it has an instance to the first request that this instance answers.
#[tokio::test]
async fn a_new_instance_is_served_soon() {
    let Some(mesh) = Mesh::shared().await else { return };
    let (world, envoy) = (mesh.world("latency").await, Arc::new(mesh.envoy().await));
    for (poll, name) in [("2s", "slow"), ("100ms", "quick")] {
        let _controller = world.controller().switch("allow-loopback").flag("poll-interval", poll).start();
        let callable = Callable::new(&world, name);
        let mut last = Backend::start("first").await;
        world.admin.register(&instance(&world, name, &last)).await;
        world.create(&callable.entry).await;
        answered(&envoy, &callable, &[], "first").await;
        let mut times = Vec::new();
        for round in 0..20 {
            let next = Backend::start(&format!("{name}-{round}")).await;
            let load = Load::start(&envoy, &callable.host, callable.port);
            world.admin.register(&instance(&world, name, &next)).await;
            let acknowledged = Instant::now();
            load.answered_by(&format!("{name}-{round}"), 0).await;
            times.push(acknowledged.elapsed());
            world.admin.deregister(&instance(&world, name, &last)).await;
            load.answered_only_by(&format!("{name}-{round}")).await;
            assert_eq!(load.failures(), Vec::<String>::new());
            last = next;
        }
        times.sort();
        let seconds = |time: Duration| time.as_secs_f64();
        report(&format!(
            "register -> first request served by the new instance, poll interval {poll}: median {:.2} s, worst {:.2} s of 20",
            seconds(times[10]),
            seconds(times[19]),
        ));
        assert!(times[10] < Duration::from_secs(10), "{times:?}");
    }
}
