//! Modules that are changed under live churn, by file and by registry; what is known of them lies in a ConfigMap.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::DeleteParams;
use polaris2istio_tests::servers::{Directory, OciOptions, OciRegistry};
use polaris2istio_tests::{guest, servers, wait_for};
use serde_json::Value;

use super::SOON;
use super::controller::{Controller, Start};
use super::entry::addresses;
use super::world::{World, writes};

const TAG: &str = "polaris2istio.aeraki.net/tag";

/// Puts a module into a file, as a careful tool does.
fn put(directory: &Directory, behaviour: &str) -> PathBuf {
    let unfinished = directory.write(".module.wasm", guest::variant(behaviour));
    let path = directory.path().join("module.wasm");
    std::fs::rename(unfinished, &path).unwrap();
    path
}

fn quick(start: Start) -> Start {
    start.flag("swap-rate", "1000").flag("empty-hold", "0s")
}

impl World {
    async fn state(&self) -> Value {
        let maps: Api<ConfigMap> = Api::namespaced(self.client(), &self.namespace);
        let map = maps.get_opt("polaris2istio-state").await.unwrap().unwrap_or_default();
        let text = map.data.unwrap_or_default().remove("state.json").unwrap_or_else(|| "null".into());
        serde_json::from_str(&text).unwrap()
    }

    async fn until_state(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, SOON, || async {
            let state = self.state().await;
            if fits(&state) { Ok(state) } else { Err(state) }
        })
        .await
    }

    async fn until_tagged(&self, names: &[&str], tag: &str) {
        for name in names {
            let what = format!("{name} is converted by {tag}");
            self.until(&what, name, |entry| entry["metadata"]["annotations"][TAG] == tag).await;
        }
    }
}

/// Changes modules while instances of `cart` come and go; `still` has one instance all the while.
async fn change_under_churn(world: &World, controller: &Controller, offer: impl AsyncFn(&str)) {
    for round in 0..3_u8 {
        let tag = format!("round-{round}");
        let host = format!("10.0.1.{round}");
        offer(&format!("tag-{tag}")).await;
        world.register("cart", &[&host]).await;
        world.until_tagged(&["cart", "still"], &tag).await;
        let what = format!("cart has {host}");
        world.until(&what, "cart", |entry| addresses(entry).contains(&&*host)).await;
        world.deregister("cart", &[&host]).await;
        world.endpoints("cart", &["10.0.0.1"]).await;
        world.endpoints("still", &["10.0.0.2"]).await;
    }
    // A bad one costs nothing, and is told.
    let before = world.get("still").await.unwrap()["metadata"]["resourceVersion"].clone();
    offer("empty").await;
    controller.says(&["waits for a person", "endpoints (100.0 %) would go"]).await;
    world.register("cart", &["10.0.1.9"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.1.9"]).await;
    let still = world.endpoints("still", &["10.0.0.2"]).await;
    assert_eq!(still["metadata"]["resourceVersion"], before);
    let to_still = |write: &&Value| write["entry"].as_str().unwrap().ends_with("/still");
    let removed: Vec<_> =
        controller.writes().into_iter().filter(|write| to_still(&write) && write["removed"] != 0).collect();
    assert_eq!(removed, Vec::<Value>::new());
}

async fn prepare(world: &World) {
    world.register("cart", &["10.0.0.1"]).await;
    world.register("still", &["10.0.0.2"]).await;
    for name in ["cart", "still"] {
        world.create(&world.entry(name)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_from_a_file_is_changed_under_churn() {
    let Some((world, api)) = World::shared("swap-file").await else { return };
    prepare(&world).await;
    let directory = Directory::new("modules");
    let path = put(&directory, "tag-first");
    let controller = quick(world.controller()).flag("module", &format!("file:{}", path.display())).start();
    world.until_tagged(&["cart", "still"], "first").await;
    change_under_churn(&world, &controller, async |behaviour| drop(put(&directory, behaviour))).await;
    // One write for each module, and none beside: first, three rounds.
    let of_still = writes(api, &world.namespace).await.into_iter().filter(|write| write.uri.contains("/still"));
    assert_eq!(of_still.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_from_a_registry_is_changed_under_churn() {
    let Some((world, _)) = World::shared("swap-oci").await else { return };
    let Some(binaries) = servers::binaries() else { return };
    prepare(&world).await;
    let mut registry = OciRegistry::start(binaries, OciOptions::default()).await;
    registry.push("rules", "v1", &guest::variant("tag-first")).await;
    let controller = quick(world.controller())
        .flag("module", &format!("oci://{}/rules:v1", registry.address()))
        .flag("oci-poll", "200ms")
        .start();
    world.until_tagged(&["cart", "still"], "first").await;
    change_under_churn(&world, &controller, async |behaviour| {
        drop(registry.push("rules", "v1", &guest::variant(behaviour)).await);
    })
    .await;
    registry.stop().await;
    controller.says(&["the module in use goes on", &registry.address()]).await;
    world.deregister("cart", &["10.0.1.9"]).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
}

/// A new release in a new pod: nothing is left of the last one but the ConfigMap, and its module is compared with.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_module_is_carried_by_the_state() {
    let Some((world, _)) = World::shared("swap-state").await else { return };
    prepare(&world).await;
    let directory = Directory::new("modules");
    let path = put(&directory, "tag-first");
    let mut controller = quick(world.controller()).flag("module", &format!("file:{}", path.display())).start();
    world.until_tagged(&["cart", "still"], "first").await;
    controller.stop().await;
    put(&directory, "empty");
    controller.start_again();
    let state = world.until_state("the other module waits", |state| state["module"]["candidate"].is_object()).await;
    let first = polaris2istio::converter::source::Digest::of(&guest::variant("tag-first")).to_string();
    assert_eq!(state["module"]["active"]["module"], first);
    assert_eq!(controller.said(&["is not to be had"]), 0);
    world.register("cart", &["10.0.0.7"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.7"]).await;
    world.until_tagged(&["cart"], "first").await;
    // Someone deletes the ConfigMap: the controller goes on, and the next change writes it anew.
    let maps: Api<ConfigMap> = Api::namespaced(world.client(), &world.namespace);
    let _ = maps.delete("polaris2istio-state", &DeleteParams::default()).await.unwrap();
    put(&directory, "tag-second");
    world.until_tagged(&["cart", "still"], "second").await;
    let second = polaris2istio::converter::source::Digest::of(&guest::variant("tag-second")).to_string();
    world.until_state("it is written anew", |state| state["module"]["active"]["module"] == second.as_str()).await;
}
