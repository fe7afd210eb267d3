//! The virtual IP survives whatever instances, controller and istiod do; and an istiod that is down, with its webhook in
//! force, costs nothing but time.

use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::SOON;
use super::mesh::{Callable, Mesh};
use super::world::{World, by_controller};

/// The virtual IPs that istiod gave.
fn allocated(entry: &Value) -> &Value {
    &entry["status"]["addresses"]
}

/// Checks that an entry's addresses are those, once its endpoints are these.
async fn check(world: &World, hosts: &[&str], expected: &Value) {
    let cart = world.endpoints("cart", hosts).await;
    assert_eq!(allocated(&cart), expected, "{cart}");
    let aeraki = world.endpoints("aeraki", hosts).await;
    assert_eq!(aeraki["spec"]["addresses"], json!(["240.240.0.7"]), "{aeraki}");
}

#[tokio::test]
async fn the_virtual_ip_survives() {
    let Some(mut mesh) = Mesh::start().await else { return };
    let world = mesh.world("vip").await;
    let mut controller = world.controller().flag("empty-hold", "0s").start();
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&Callable::new(&world, "cart").entry).await;
    let aeraki = Callable::new(&world, "aeraki").entry.annotated("aeraki.net/polarisService", "cart");
    world.create(&aeraki).await;
    world.patch("aeraki", "aeraki", &json!({"spec": {"addresses": ["240.240.0.7"]}})).await;
    let cart = world.until("it has an address", "cart", |entry| allocated(entry)[0].is_object()).await;
    let expected = allocated(&cart);
    check(&world, &["10.0.0.1"], expected).await;

    world.deregister("cart", &["10.0.0.1"]).await;
    check(&world, &[], expected).await;
    world.register("cart", &["10.0.0.2"]).await;
    check(&world, &["10.0.0.2"], expected).await;

    assert!(controller.stop().await.success());
    controller.start_again();
    world.register("cart", &["10.0.0.3"]).await;
    check(&world, &["10.0.0.2", "10.0.0.3"], expected).await;

    // With its webhook in force nothing can be written; what is there stays.
    mesh.istiod.stop().await;
    world.register("cart", &["10.0.0.4"]).await;
    controller.says(&["WARN", "not written", "failed calling webhook", "retrying"]).await;
    let refused = |writes: Vec<_>| writes.into_iter().filter(by_controller).filter(|write| write.code == 500).count();
    let tries = wait_for("it is tried again", SOON, || async {
        let tries = refused(mesh.api.writes(&world.namespace).await);
        if tries >= 6 { Ok(tries) } else { Err(tries) }
    })
    .await;
    check(&world, &["10.0.0.2", "10.0.0.3"], expected).await;
    assert!(tries < 20, "{tries} tries in a few seconds");
    mesh.istiod.start_again().await;
    check(&world, &["10.0.0.2", "10.0.0.3", "10.0.0.4"], expected).await;
    controller.says(&["can be written again"]).await;
}
