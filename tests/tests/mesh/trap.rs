//! An entry whose virtual IP istiod gave up: it is told of, and repaired where that is asked for.

use polaris2istio_tests::servers::User;
use serde_json::{Value, json};

use super::mesh::{Callable, Mesh};
use super::rights::{self, grant};

fn allocated(entry: &Value) -> bool {
    entry["status"]["addresses"][0].is_object()
}

#[tokio::test]
async fn a_lost_virtual_ip_is_told_and_repaired() {
    let Some(mesh) = Mesh::shared().await else { return };
    let world = mesh.world("trap").await;
    world.create(&Callable::new(&world, "cart").entry).await;
    world.until("it has an address", "cart", allocated).await;
    world.patch("cart", "kubectl", &json!({"spec": {"resolution": "NONE"}})).await;
    world.until("istiod gives it up", "cart", |entry| entry["status"]["addresses"] == json!([])).await;
    world.register("cart", &["10.0.0.1"]).await;
    // Those never had an address of istiod's to lose: one that says NONE from the start, as the original's examples do, and
    // one with an address that the operator wrote.
    let bound = |name: &str| Callable::new(&world, name).entry.annotated("aeraki.net/polarisService", "cart");
    world.create(&bound("fresh").with(&json!({"spec": {"resolution": "NONE"}}))).await;
    world.create(&bound("written").with(&json!({"spec": {"addresses": ["240.240.88.1"]}}))).await;

    let limited = mesh.api.kubeconfig(User::Limited);
    grant(&mesh.api, &world.namespace, &[rights::ENTRIES, rights::EVENTS]).await;
    let mut controller = world.controller().kubeconfig(&limited).flag("state", "none").http().start();
    let entry = format!("{}/cart", world.namespace);
    world.endpoints("cart", &["10.0.0.1"]).await;
    controller.says(&["WARN", "vip-trap", &entry, "--repair-vip"]).await;
    mesh.told(&world.namespace, "cart", "VirtualIpLost").await;
    let (_, status) = controller.get("/status").await;
    assert!(status.contains("\"virtual-ip\""), "{status}");
    world.endpoints("fresh", &["10.0.0.1"]).await;
    world.patch("written", "kubectl", &json!({"spec": {"addresses": null}})).await;
    for name in ["fresh", "written"] {
        world.until("istiod gives it an address", name, allocated).await;
    }
    assert_eq!(controller.said(&["vip-trap"]), 1, "{:?}", controller.log());
    assert!(controller.stop().await.success());
    let cart = world.get("cart").await.unwrap();
    assert_eq!((&cart["spec"]["resolution"], &cart["status"]["addresses"]), (&json!("STATIC"), &json!([])));

    // Without the right it says what is missing; with it, the entry has an address again, once and for all.
    let repairing = world.controller().kubeconfig(&limited).flag("state", "none").switch("repair-vip");
    let controller = repairing.start();
    controller.says(&["WARN", &entry, "not repaired", "serviceentries/status"]).await;
    drop(controller);
    grant(&mesh.api, &world.namespace, &[rights::ENTRIES, rights::STATUS]).await;
    let controller = world.controller().kubeconfig(&limited).flag("state", "none").switch("repair-vip").start();
    let cart = world.until("it has an address", "cart", allocated).await;
    controller.says(&["INFO", &entry, "gave the entry a virtual IP again"]).await;
    world.register("cart", &["10.0.0.2"]).await;
    let later = world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    assert_eq!(later["status"]["addresses"], cart["status"]["addresses"]);
    assert_eq!(controller.said(&["status.addresses was set to null"]), 1, "{:?}", controller.log());
}
