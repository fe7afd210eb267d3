//! Modules that are changed under live churn, by file and by registry; what is known of them lies in a ConfigMap.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::DeleteParams;
use polaris2istio::digest::Digest;
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
        let maps: Api<ConfigMap> = Api::namespaced(self.client(), &self.release.namespace);
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
    let first = Digest::of(&guest::variant("tag-first")).to_string();
    assert_eq!(state["module"]["active"]["module"], first);
    assert_eq!(controller.said(&["is not to be had"]), 0);
    world.register("cart", &["10.0.0.7"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.7"]).await;
    world.until_tagged(&["cart"], "first").await;
    // An operator deletes the ConfigMap: the controller goes on, and the next change writes it anew.
    let maps: Api<ConfigMap> = Api::namespaced(world.client(), &world.release.namespace);
    let _ = maps.delete("polaris2istio-state", &DeleteParams::default()).await.unwrap();
    put(&directory, "tag-second");
    world.until_tagged(&["cart", "still"], "second").await;
    let second = Digest::of(&guest::variant("tag-second")).to_string();
    world.until_state("it is written anew", |state| state["module"]["active"]["module"] == second.as_str()).await;
}

/// The faults of a module, by its behaviour: the first objection, and the words about an entry.
const BAD: [(&str, &str, &str); 8] = [
    ("panic", "fails on 2 entries", "trapped"),
    ("loop", "fails on 2 entries", "ran longer than"),
    ("recurse", "fails on 2 entries", "call stack exhausted"),
    ("allocate", "fails on 2 entries", "bytes of memory"),
    ("long-output", "fails on 2 entries", "a result of more than"),
    ("two-faced", "fails on 2 entries", "told that its own content revision"),
    ("empty", "2 of 2 endpoints (100.0 %) would go", ""),
    ("reject", "rejects 2 entries", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn bad_modules_cost_no_endpoint() {
    let Some((world, api)) = World::shared("swap-bad").await else { return };
    prepare(&world).await;
    let directory = Directory::new("modules");
    let path = put(&directory, "tag-first");
    let _controller = quick(world.controller())
        .flag("module", &format!("file:{}", path.display()))
        .flag("module-timeout", "300ms")
        .start();
    world.until_tagged(&["cart", "still"], "first").await;
    let before = writes(api, &world.namespace).await.len();
    for (behaviour, objection, note) in BAD {
        put(&directory, behaviour);
        let digest = Digest::of(&guest::variant(behaviour)).to_string();
        let is_it = |state: &Value| state["module"]["candidate"]["module"] == digest.as_str();
        let state = world.until_state(behaviour, is_it).await;
        let waiting = state["module"]["candidate"].to_string();
        assert!(waiting.contains(objection) && waiting.contains(note), "{behaviour}: {waiting}");
    }
    let whole = guest::variant("tag-second");
    let wasi = "package acme:rules;\nworld converter { import wasi:cli/environment@0.2.0; }\n\
                package wasi:cli@0.2.0 { interface environment { get: func() -> string; } }";
    for (bytes, problem) in [
        (guest::dummy("package acme:other; world other { export run: func(); }"), "it exports run"),
        (guest::dummy(wasi), "imports wasi:cli/environment@0.2.0"),
        (whole[..whole.len() / 2].to_vec(), "not a valid component"),
    ] {
        let unfinished = directory.write(".module.wasm", bytes);
        std::fs::rename(unfinished, &path).unwrap();
        let last = |state: &Value| state["module"]["history"].as_array().and_then(|all| all.last().cloned());
        world.until_state(problem, |state| last(state).is_some_and(|event| event.to_string().contains(problem))).await;
    }
    assert_eq!(writes(api, &world.namespace).await.len(), before);
    world.endpoints("cart", &["10.0.0.1"]).await;
    world.endpoints("still", &["10.0.0.2"]).await;
    put(&directory, "tag-second");
    world.until_tagged(&["cart", "still"], "second").await;
}

/// Of two replicas one is no leader, and either may be told.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_to_any_replica_is_carried_out_by_the_leader() {
    let Some((world, _)) = World::shared("swap-command").await else { return };
    prepare(&world).await;
    let directory = Directory::new("modules");
    let path = put(&directory, "tag-first");
    let replicas = [(); 2].map(|()| {
        quick(world.controller())
            .flag("leader-election", "true")
            .flag("module", &format!("file:{}", path.display()))
            .flag("swap", "review")
            .socket()
            .start()
    });
    world.until_tagged(&["cart", "still"], "first").await;
    put(&directory, "tag-second");
    world.until_state("it waits", |state| state["module"]["candidate"].is_object()).await;
    let name = |tag: &str| Digest::of(&guest::variant(tag)).to_string();
    replicas[0].verb(&["module", "promote", &name("tag-second")]);
    world.until_tagged(&["cart", "still"], "second").await;
    replicas[1].verb(&["module", "rollback", &name("tag-first")]);
    world.until_tagged(&["cart", "still"], "first").await;
    let leading = replicas.iter().filter(|replica| replica.said(&["this replica writes from now on"]) > 0).count();
    assert_eq!(leading, 1);
}
