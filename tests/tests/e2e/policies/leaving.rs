//! Made entries when their policy goes, the controller, or the whole kind of policies.

use polaris2istio_tests::servers::{self, ApiServer, ApiServerOptions};
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::super::SOON;
use super::super::entry::addresses;
use super::super::uninstall::uninstall;
use super::super::world::World;
use super::Policies;

#[tokio::test]
async fn entries_go_with_a_policy_that_says_so() {
    let Some(policies) = Policies::new("policy-delete").await else { return };
    let world = &policies.world;
    for name in ["a", "b", "mine"] {
        world.register(name, &["10.0.0.1"]).await;
    }
    world.create(&world.entry("mine")).await;
    let _controller = policies.start();
    policies.create(json!({"onDelete": "Prune", "select": {"exclude": ["mine"]}})).await;
    policies.until("Synced").await;
    world.endpoints("a", &["10.0.0.1"]).await;
    let finalizers = policies.policies.get("all").await.unwrap().metadata.finalizers;
    assert_eq!(finalizers, Some(vec!["polaris2istio.aeraki.net/prune".to_owned()]));
    policies.policies.delete("all", &Default::default()).await.unwrap();
    world.until("it goes with its policy", "a", Value::is_null).await;
    wait_for("the policy is gone", SOON, || async {
        policies.policies.get_opt("all").await.unwrap().map_or(Ok(()), |policy| Err(json!(policy)))
    })
    .await;
    assert_eq!(policies.entries().await.keys().collect::<Vec<_>>(), ["mine"]);
}

/// Nobody would ever take it away when the controller is gone.
#[tokio::test]
async fn uninstall_leaves_no_finalizer_behind() {
    let (Some(policies), Some(servers)) = (Policies::new("policy-leave").await, servers::shared().await) else {
        return;
    };
    let world = &policies.world;
    world.register("a", &["10.0.0.1"]).await;
    let mut controller = policies.start();
    policies.create(json!({"onDelete": "Prune"})).await;
    policies.until("Synced").await;
    world.endpoints("a", &["10.0.0.1"]).await;
    controller.process.kill();
    let (code, said) = uninstall(world, &servers.api, &["--plan"]).await;
    assert!(code == Some(0) && said.contains("all: take the finalizer away"), "{code:?} {said}");
    let (code, said) = uninstall(world, &servers.api, &["--apply"]).await;
    assert!(code == Some(0), "{code:?} {said}");
    policies.policies.delete("all", &Default::default()).await.unwrap();
    assert!(policies.policies.get_opt("all").await.unwrap().is_none(), "nothing keeps it");
    assert_eq!(policies.entries().await.keys().collect::<Vec<_>>(), ["a"], "its entries stay");
}

/// While the CRD is deleted, all policies are, and nobody means their entries.
#[tokio::test]
async fn the_crd_takes_no_entry_along() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let api = ApiServer::start_with(binaries, ApiServerOptions::default()).await;
    let world = World::new(&api, &servers.polaris, "policy-crd").await;
    let policies = Policies::of(world, &api).await.unwrap();
    let world = &policies.world;
    world.register("a", &["10.0.0.1"]).await;
    let controller = policies.start();
    policies.create(json!({"onDelete": "Prune"})).await;
    policies.until("Synced").await;
    let entry = world.endpoints("a", &["10.0.0.1"]).await;
    // Until the policy is gone, which its finalizer puts off.
    api.kubectl(&["delete", "crd/polarisimports.polaris2istio.aeraki.net", "--timeout=60s"], "").await;
    controller.says(&["a CRD is missing"]).await;
    let after = world.get("a").await.unwrap();
    assert_eq!(after["metadata"]["uid"], entry["metadata"]["uid"]);
    assert_eq!(addresses(&after), ["10.0.0.1"]);
}
