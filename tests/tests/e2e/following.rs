//! Every way of following passes the same suite against a real Polaris: a table of changes, each of which arrives once, and then
//! whatever may happen to a server.

use polaris2istio_tests::servers::{self, Polaris, PolarisOptions};
use polaris2istio_tests::{memory, wait_for};

use super::SOON;
use super::instances::step_by_step;
use super::world::{World, check_clean, writes};

/// What leads to a server.
type Place = fn(&Polaris) -> String;

/// A way of following: its name, the address that leads to it, and the doorbell with its address.
struct Way(&'static str, Place, Option<(&'static str, Place)>);

async fn check(way: Way) {
    let (Some(shared), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let mut polaris = Polaris::start(binaries, PolarisOptions { client_auth: true, nacos: true }).await;
    let world = World::new(&shared.api, &polaris, way.0).await;
    let start = world.controller().flag("polaris-address", &(way.1)(&polaris)).flag("polaris-timeout", "1s");
    let start = match way.2 {
        Some((kind, address)) => start.flag("doorbell", kind).flag("doorbell-address", &address(&polaris)),
        None => start,
    };
    let mut controller = start.env("POLARIS2ISTIO_POLARIS_TOKEN", polaris.token()).start();
    for name in ["cart", "other"] {
        world.create(&world.entry(name)).await;
        register(&world, name, &["10.0.0.1", "10.0.0.2"]).await;
        world.endpoints(name, &["10.0.0.1", "10.0.0.2"]).await;
    }
    let before = writes(&shared.api, &world.namespace).await.len();
    let changes = step_by_step(&world, "cart").await;
    let written = writes(&shared.api, &world.namespace).await.len() - before;
    assert_eq!(written, changes, "each change arrives once");

    // It crashes and comes back, with a change in between that nobody could see.
    polaris.kill();
    controller.says(&["unreachable"]).await;
    polaris.start_again().await;
    register(&world, "cart", &["10.0.0.3"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;

    // It is stopped as an operator would.
    polaris.stop().await;
    polaris.start_again().await;
    register(&world, "other", &["10.0.0.3"]).await;
    world.endpoints("other", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;

    // A black hole: connections stay, nothing is answered.
    polaris.freeze();
    controller.says(&["timed-out"]).await;
    polaris.thaw();
    register(&world, "cart", &["10.0.0.4"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]).await;

    // It comes back with nothing, and endpoints are held until they are registered again.
    polaris.start_again_empty().await;
    controller.says(&["/cart", "endpoints held for"]).await;
    register(&world, "cart", &["10.0.0.9"]).await;
    world.until("what is new is added", "cart", |entry| super::entry::addresses(entry).contains(&"10.0.0.9")).await;
    let held = world.get("cart").await.unwrap_or_default();
    assert_eq!(super::entry::addresses(&held).len(), 5, "what was lost is held: {held}");

    let begun = tokio::time::Instant::now();
    check_clean(controller.stop().await, begun.elapsed());
}

/// Registers instances by the console, as clients need a token here.
async fn register(world: &World, service: &str, hosts: &[&str]) {
    let instances: Vec<_> = hosts.iter().map(|host| world.instance(service, host)).collect();
    world.admin.register_all(&instances).await;
    world.admin.pull(&world.namespace).await;
}

#[tokio::test]
async fn by_grpc() {
    check(Way("by-grpc", |polaris| format!("grpc://{}", polaris.grpc_address()), None)).await;
}

#[tokio::test]
async fn by_http() {
    check(Way("by-http", console, None)).await;
}

#[tokio::test]
async fn as_found_out() {
    check(Way("as-found", Polaris::grpc_address, None)).await;
}

#[tokio::test]
async fn by_doorbell() {
    check(Way("by-doorbell", Polaris::grpc_address, Some(("console", console)))).await;
}

#[tokio::test]
async fn by_nacos() {
    check(Way("by-nacos", Polaris::grpc_address, Some(("nacos", nacos)))).await;
}

fn console(polaris: &Polaris) -> String {
    format!("http://{}", polaris.http_address())
}

fn nacos(polaris: &Polaris) -> String {
    format!("grpc://{}", polaris.nacos_address())
}

/// More changes at once than a page of the console's list holds, then deletions alone.
#[tokio::test]
async fn a_doorbell_takes_many_changes_at_once() {
    check_many("many-rings", "console", console).await;
}

#[tokio::test]
async fn pushes_take_many_changes_at_once() {
    check_many("many-pushes", "nacos", nacos).await;
}

async fn check_many(namespace: &str, kind: &'static str, address: Place) {
    let (Some(shared), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let options = PolarisOptions { nacos: true, ..PolarisOptions::default() };
    let polaris = Polaris::start(binaries, options).await;
    let world = World::new(&shared.api, &polaris, namespace).await;
    let start = world.controller().flag("polaris-address", &polaris.grpc_address()).flag("removal-hold", "0s");
    // Only what rings is asked for in the time of this test.
    let start = start.flag("doorbell", kind).flag("doorbell-address", &address(&polaris)).flag("fleet-limit", "100%");
    let controller = start.start();
    let names: Vec<_> = (0..20).map(|number| format!("s{number}")).collect();
    for name in &names {
        register(&world, name, &["10.0.0.1"]).await;
        world.create(&world.entry(name)).await;
    }
    for name in &names {
        world.endpoints(name, &["10.0.0.1"]).await;
    }
    controller.says(&["is the doorbell"]).await;
    let hosts: Vec<_> = (2..12).map(|host| format!("10.0.0.{host}")).collect();
    let instances = || names.iter().flat_map(|name| hosts.iter().map(|host| world.instance(name, host)));
    let all: Vec<_> = instances().collect();
    world.admin.register_all(&all).await;
    for name in &names {
        world.until("all are there", name, |entry| super::entry::addresses(entry).len() == 11).await;
    }
    world.admin.deregister_all(&all).await;
    for name in &names {
        world.endpoints(name, &["10.0.0.1"]).await;
    }
}

/// Polaris keeps something of each request until its stream ends, so no stream may last for ever.
#[tokio::test]
async fn a_server_does_not_grow_by_being_asked() {
    let (Some(shared), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let polaris = Polaris::start(binaries, PolarisOptions::default()).await;
    let world = World::new(&shared.api, &polaris, "growth").await;
    let start = world.controller().flag("polaris-address", &polaris.grpc_address()).flag("poll-interval", "50ms");
    let controller = start.flag("poll-rate", "10000").http().start();
    let names: Vec<_> = (0..150).map(|number| format!("s{number}")).collect();
    for name in &names {
        world.create(&world.entry(name)).await;
    }
    let asked = async || {
        let (_, text) = controller.get("/metrics").await;
        let polls = text.lines().filter(|line| line.starts_with("polaris2istio_polls_total"));
        polls.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    let until = async |count: f64| {
        wait_for(&format!("{count} polls"), SOON * 2, || async {
            let polls = asked().await;
            if polls >= count { Ok(()) } else { Err(polls) }
        })
        .await;
    };
    until(10_000.0).await;
    let resident = || memory(polaris.id().unwrap()).unwrap().resident;
    let before = resident();
    until(60_000.0).await;
    let grown = resident().saturating_sub(before);
    // One stream would have kept 85 MB of fifty thousand requests.
    assert!(grown < 40 << 10, "{grown} KiB of fifty thousand requests");
}
