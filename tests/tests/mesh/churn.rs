//! The cost of a change for the mesh, by istiod's own count: a push of endpoints alone, and none for no change.

use std::cell::RefCell;
use std::collections::BTreeMap;

use polaris2istio_tests::servers::Istiod;
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::entry::addresses;
use super::mesh::{Callable, Mesh};
use super::world::{World, writes};
use super::{SOON, report};

/// Changes of instances.
const CHANGES: usize = 200;
/// So many looks in a row without a push, and istiod is done: a second, a hundred times its debounce.
const QUIET: usize = 40;

/// How many messages of each type were pushed.
pub(crate) type Pushes = BTreeMap<String, u64>;

/// Waits until istiod pushes nothing any more.
pub(crate) async fn quiet(istiod: &Istiod) -> Pushes {
    let seen = RefCell::new((Pushes::new(), 0));
    wait_for("istiod has nothing to push", SOON, || async {
        let now = istiod.pushes().await;
        let mut seen = seen.borrow_mut();
        let looks = if now == seen.0 { seen.1 + 1 } else { 0 };
        *seen = (now.clone(), looks);
        if looks >= QUIET { Ok(now) } else { Err(format!("{now:?}")) }
    })
    .await
}

/// The pushes since an earlier count.
pub(crate) fn grown(now: &Pushes, before: &Pushes) -> Pushes {
    let grown = now.iter().map(|(kind, count)| (kind.clone(), count - before.get(kind).copied().unwrap_or_default()));
    grown.filter(|(_, count)| *count > 0).collect()
}

/// Waits until more endpoints were pushed than before.
async fn endpoints_pushed(istiod: &Istiod, before: &Pushes) -> Pushes {
    wait_for("endpoints are pushed", SOON, || async {
        let now = istiod.pushes().await;
        if grown(&now, before).contains_key("eds") { Ok(now) } else { Err(format!("{now:?}")) }
    })
    .await
}

/// One change to the instances of a service; every fourth is back where the first began.
async fn change(world: &World, number: usize) {
    let first = || world.instance("cart", "10.0.0.1");
    match number % 4 {
        0 => world.register("cart", &["10.0.0.2"]).await,
        1 => world.admin.update(&first().weight(50 + u32::try_from(number).unwrap())).await,
        2 => world.admin.update(&first().weight(20).metadata("change", &number.to_string())).await,
        _ => world.deregister("cart", &["10.0.0.2"]).await,
    }
    world.admin.pull(&world.namespace).await;
}

/// Waits until the entry's endpoints are others than these.
async fn changed(world: &World, name: &str, before: &Value) -> Value {
    let endpoints = |entry: &Value| entry["spec"]["endpoints"].clone();
    endpoints(&world.until("the entry changes", name, |entry| endpoints(entry) != *before).await)
}

#[tokio::test]
async fn instances_that_come_and_go_push_endpoints_alone() {
    let Some(mesh) = Mesh::start().await else { return };
    let (world, _envoy) = (mesh.world("churn").await, mesh.envoy().await);
    let _controller = world.controller().start();
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&Callable::new(&world, "cart").entry).await;
    let entry = world.until("it has an address", "cart", |entry| entry["status"]["addresses"][0].is_object()).await;
    let mut endpoints = world.endpoints("cart", &["10.0.0.1"]).await["spec"]["endpoints"].clone();
    let start = quiet(&mesh.istiod).await;
    let written = writes(&mesh.api, &world.namespace).await.len();

    let mut last = start.clone();
    for number in 0..CHANGES {
        change(&world, number).await;
        endpoints = changed(&world, "cart", &endpoints).await;
        last = endpoints_pushed(&mesh.istiod, &last).await;
    }
    let pushed = grown(&quiet(&mesh.istiod).await, &start);
    report(&format!("{CHANGES} changes of instances: pushes {pushed:?}"));
    assert_eq!(pushed.keys().collect::<Vec<_>>(), ["eds"], "{pushed:?}");
    let writes = writes(&mesh.api, &world.namespace).await;
    assert_eq!(writes.len() - written, CHANGES, "one write for each");
    assert!(writes.iter().all(|write| addresses(&write.body).is_sorted()), "endpoints keep their order");
    let after = world.get("cart").await.unwrap();
    assert_eq!(after["status"]["addresses"], entry["status"]["addresses"]);

    no_op(&mesh, &world, &endpoints).await;
    exceptions(&mesh, &world).await;
}

/// The same instance registers again: a change alone costs as much as a change after that.
async fn no_op(mesh: &Mesh, world: &World, endpoints: &Value) {
    let before = quiet(&mesh.istiod).await;
    world.admin.register(&world.instance("cart", "10.0.0.1").weight(33)).await;
    world.admin.pull(&world.namespace).await;
    let endpoints = changed(world, "cart", endpoints).await;
    let alone = grown(&quiet(&mesh.istiod).await, &before);
    let (before, written) = (quiet(&mesh.istiod).await, writes(&mesh.api, &world.namespace).await.len());
    for _ in 0..5 {
        world.admin.register(&world.instance("cart", "10.0.0.1").weight(33)).await;
        world.admin.pull(&world.namespace).await;
    }
    world.admin.update(&world.instance("cart", "10.0.0.1").weight(34)).await;
    changed(world, "cart", &endpoints).await;
    assert_eq!(grown(&quiet(&mesh.istiod).await, &before), alone);
    assert_eq!(writes(&mesh.api, &world.namespace).await.len(), written + 1);
}

/// The full pushes that istiod itself makes of a change of instances.
async fn exceptions(mesh: &Mesh, world: &World) {
    let derived = world.entry("derived");
    let named = Callable::new(world, "named").entry.with(&json!({"spec": {"resolution": "DNS"}}));
    world.register("named", &["10.0.0.1"]).await;
    world.register("derived", &["10.0.0.1"]).await;
    for entry in [&Callable::new(world, "empty").entry, &named, &derived] {
        world.create(entry).await;
        world.until("it has an address", entry.name(), |entry| entry["status"]["addresses"][0].is_object()).await;
    }
    world.endpoints("named", &["10.0.0.1"]).await;
    world.endpoints("derived", &["10.0.0.1"]).await;
    let grpc = polaris2istio_tests::servers::Instance::new(&world.namespace, "derived", "10.0.0.9", 9090);
    let cases = [
        ("the first endpoints of an entry that was created empty", "empty", world.instance("empty", "10.0.0.1")),
        ("an endpoint of a DNS entry", "named", world.instance("named", "10.0.0.2")),
        ("a new port", "derived", grpc.protocol("grpc")),
    ];
    for (what, name, instance) in cases {
        let before = quiet(&mesh.istiod).await;
        let endpoints = world.get(name).await.unwrap()["spec"]["endpoints"].clone();
        world.admin.register(&instance).await;
        world.admin.pull(&world.namespace).await;
        changed(world, name, &endpoints).await;
        let pushed = grown(&quiet(&mesh.istiod).await, &before);
        report(&format!("{what}: pushes {pushed:?}"));
        assert!(pushed.get("cds").is_some_and(|count| (1..=2).contains(count)), "{what}: {pushed:?}");
    }
}
