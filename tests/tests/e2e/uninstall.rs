//! `uninstall`: what stays belongs to nobody, what was ours is gone, and nothing is done while somebody leads.

use std::process::Command;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{Api, DynamicObject, ListParams};
use polaris2istio_tests::servers::{ApiServer, User};
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::SOON;
use super::controller::binary;
use super::entry::{addresses, annotation};
use super::world::{World, kubectl};

/// Its output, and its exit code.
pub(crate) async fn uninstall(world: &World, api: &ApiServer, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command
        .args(["uninstall", "--namespace", &world.namespace])
        .args(arguments)
        .env("KUBECONFIG", api.kubeconfig(User::Admin))
        .env("POD_NAMESPACE", &world.release.namespace);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn managers(entry: &Value) -> Vec<String> {
    let all = entry["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|one| format!("{} {}", one["manager"].as_str().unwrap(), one["operation"].as_str().unwrap()))
        .collect()
}

/// What is left of us beside the entries: Lease, shared state, names.
async fn objects(world: &World) -> [usize; 3] {
    let (client, system) = (world.client(), &world.release.namespace);
    let names = ListParams::default().labels("polaris2istio.aeraki.net/names");
    let services: Api<Service> = Api::namespaced(client.clone(), &world.namespace);
    let leases: Api<Lease> = Api::namespaced(client.clone(), system);
    let maps: Api<ConfigMap> = Api::namespaced(client, system);
    let count = |there: bool| usize::from(there);
    [
        count(leases.get_opt("polaris2istio").await.unwrap().is_some()),
        count(maps.get_opt("polaris2istio-state").await.unwrap().is_some()),
        services.list(&names).await.unwrap().items.len(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_belongs_to_nobody() {
    let Some((world, api)) = World::shared("uninstall").await else { return };
    let names = polaris2istio_tests::servers::Manifests::kustomize(
        polaris2istio_tests::servers::binaries().unwrap(),
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/uninstall"),
    );
    api.apply(&names.moved(&world.release.namespace, &world.namespace).0, false).await;
    world.register("cart", &["10.0.0.1", "10.0.0.2"]).await;
    let host = format!("dev.cart.{}", world.namespace);
    let file = world.entry("cart").with(&json!({"spec": {"hosts": [host], "addresses": ["240.240.0.9"]}}));
    kubectl(api, &["apply", "--server-side", "--field-manager=git", "-f", "-"], &file).await;
    let mut controller = world
        .controller()
        .flag("leader-election", "true")
        .flag("lease-duration", "2s")
        .flag("dns", "records")
        .socket()
        .start();
    let before = world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    assert!(managers(&before).contains(&"polaris2istio Apply".into()), "{before:#}");
    wait_for("Lease, shared state and a name", SOON, || async {
        controller.verb(&["pause", "--reason", "test"]);
        controller.verb(&["resume"]);
        let found = objects(&world).await;
        if found == [1, 1, 1] { Ok(()) } else { Err(format!("{found:?} {}", controller.process.log_tail())) }
    })
    .await;

    // Somebody leads: the plan says so, and nothing is done.
    let (code, said) = uninstall(&world, api, &["--plan"]).await;
    assert_eq!(code, Some(0), "{said}");
    let entry = format!("{}/cart: give up spec.endpoints", world.namespace);
    for words in
        [&*entry, "renews the Lease", "Service ", "EndpointSlice ", "Lease ", "ConfigMap ", "nothing was changed"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (code, said) = uninstall(&world, api, &["--apply"]).await;
    assert!(code == Some(1) && said.contains("nothing was changed") && said.contains("add --force"), "{code:?} {said}");
    assert_eq!(objects(&world).await, [1, 1, 1]);

    // Killed, it leaves its name on the Lease; that nobody renews it is waited for.
    controller.process.kill();
    let before = world.get("cart").await.unwrap();
    let (code, said) = uninstall(&world, api, &["--plan"]).await;
    assert!(code == Some(0) && !said.contains("renews the Lease"), "{code:?} {said}");
    assert_eq!(world.get("cart").await.unwrap(), before, "a plan changes nothing");
    let (code, said) = uninstall(&world, api, &["--apply"]).await;
    assert!(code == Some(0) && said.contains("failed: 0"), "{code:?} {said}");
    assert_eq!(objects(&world).await, [0, 0, 0], "{said}");
    let after = world.get("cart").await.unwrap();
    assert_eq!(managers(&after), ["git Apply"], "{after:#}");
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(after["metadata"]["annotations"], before["metadata"]["annotations"]);
    // Whoever applies endpoints has them from then on, unforced.
    let file = file.with(&json!({"spec": {"endpoints": [{"address": "10.0.0.9"}]}}));
    kubectl(api, &["apply", "--server-side", "--field-manager=git", "-f", "-"], &file).await;
    assert_eq!(addresses(&world.get("cart").await.unwrap()), ["10.0.0.9"]);

    let (code, said) = uninstall(&world, api, &["--apply", "--annotations"]).await;
    assert!(code == Some(0), "{code:?} {said}");
    let after = world.get("cart").await.unwrap();
    assert_eq!(annotation(&after, "polaris2istio.aeraki.net/source"), None, "{said}");
    let (code, said) = uninstall(&world, api, &["--plan"]).await;
    assert!(code == Some(0) && said.contains("nothing is left"), "{code:?} {said}");
}

/// Entries as a policy and the controller leave them; no controller need have run.
#[tokio::test(flavor = "multi_thread")]
async fn made_entries_stay_unless_they_are_to_go() {
    let Some((world, api)) = World::shared("uninstall-made").await else { return };
    for name in ["made", "copied"] {
        let policy = json!({"metadata": {"annotations": {"polaris2istio.aeraki.net/policy": "all"}}});
        let endpoints = json!({"spec": {"endpoints": [{"address": "10.0.0.1"}]}});
        let manager = if name == "made" { "polaris2istio-policy" } else { "git" };
        let file = world.entry(name).with(&policy);
        kubectl(api, &["apply", "--server-side", &format!("--field-manager={manager}"), "-f", "-"], &file).await;
        let mut ours = file.clone();
        ours.0["spec"] = endpoints["spec"].clone();
        ours.0["metadata"] = json!({"name": name, "namespace": world.namespace});
        kubectl(api, &["apply", "--server-side", "--field-manager=polaris2istio", "-f", "-"], &ours).await;
    }
    let (code, said) = uninstall(&world, api, &["--apply"]).await;
    assert!(code == Some(0), "{code:?} {said}");
    let made = world.get("made").await.unwrap();
    assert_eq!((managers(&made), addresses(&made)), (Vec::new(), vec!["10.0.0.1"]), "{said}");
    assert_eq!(managers(&world.get("copied").await.unwrap()), ["git Apply"]);

    // A new controller would have them again; who does not want them has them deleted before they are given up.
    let remade =
        world.entry("again").with(&json!({"metadata": {"annotations": {"polaris2istio.aeraki.net/policy": "all"}}}));
    kubectl(api, &["apply", "--server-side", "--field-manager=polaris2istio-policy", "-f", "-"], &remade).await;
    let (code, said) = uninstall(&world, api, &["--plan", "--made", "delete"]).await;
    assert!(code == Some(0) && said.contains("/again: delete") && !said.contains("/copied"), "{code:?} {said}");
    let (code, said) = uninstall(&world, api, &["--apply", "--made", "delete"]).await;
    assert!(code == Some(0) && world.get("again").await.is_none(), "{code:?} {said}");
    let all: Vec<DynamicObject> = world.entries.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(all.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_may_not_do_is_told() {
    let Some((world, api)) = World::shared("uninstall-rights").await else { return };
    let kubeconfig = api.kubeconfig(User::Limited).display().to_string();
    let (code, said) = uninstall(&world, api, &["--apply", "--kubeconfig", &kubeconfig]).await;
    assert!(code == Some(1) && said.contains("cannot be read") && said.contains("administrator"), "{code:?} {said}");
    let (code, said) = uninstall(&world, api, &[]).await;
    assert!(code == Some(2) && said.contains("--plan"), "{code:?} {said}");
    // The Lease of others is no business of this namespace.
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "polaris2istio", "namespace": world.release.namespace, "annotations": {"polaris2istio.aeraki.net/serves": "elsewhere"}}});
    api.apply(&[lease], false).await;
    let (code, said) = uninstall(&world, api, &["--apply"]).await;
    assert!(code == Some(1) && said.contains("--namespace elsewhere"), "{code:?} {said}");
}
