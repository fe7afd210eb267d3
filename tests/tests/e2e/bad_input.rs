//! Entries that cannot be served: reported once, with the remedy, and at the cost of that entry alone.

use std::path::Path;

use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, Patch, PatchParams};
use polaris2istio_tests::servers::{self, ApiServer, User};
use serde_json::{Value, json};

use super::SOON;
use super::entry::Entry;
use super::proxy::Proxy;
use super::world::{World, writes};

#[tokio::test]
async fn entries_that_cannot_be_served_are_left_alone() {
    let Some((world, api)) = World::shared("unfit").await else { return };
    let proxy = Proxy::before(&world.polaris).await;
    let controller = world.controller().flag("polaris-address", &proxy.address()).start();
    world.register("witness", &["10.0.0.1"]).await;
    world.register("cart", &["10.0.0.1"]).await;
    let bound = |name: &str| world.entry(name).annotated("aeraki.net/polarisService", "cart");
    let selector = json!({"spec": {"workloadSelector": {"labels": {"app": "cart"}}}});
    let cases: [(Entry, &str, &str); 7] = [
        (bound("no-service").annotated("aeraki.net/polarisService", Value::Null), "binding-missing", "polarisService"),
        (bound("no-namespace").annotated("aeraki.net/polarisNamespace", ""), "binding-missing", "polarisNamespace"),
        (bound("long").annotated("aeraki.net/polarisService", "x".repeat(200)), "binding-too-long", "polarisService"),
        (bound("external").annotated("aeraki.net/external", "maybe"), "location-invalid", "aeraki.net/external"),
        (bound("selector").with(&selector), "workload-selector", "workload"),
        (bound("round").with(&json!({"spec": {"resolution": "DNS_ROUND_ROBIN"}})), "resolution-unsupported", "DNS"),
        (bound("dynamic").with(&json!({"spec": {"resolution": "DYNAMIC_DNS"}})), "resolution-unsupported", "DNS"),
    ];
    let mut before = Vec::new();
    for (entry, ..) in &cases {
        world.create(entry).await;
        before.push(world.get(entry.name()).await);
    }
    world.create(&world.entry("witness")).await;
    world.endpoints("witness", &["10.0.0.1"]).await;
    for (entry, code, words) in &cases {
        let title = format!("{}/{}\"", world.namespace, entry.name());
        controller.says(&["ERROR", &title, code, words]).await;
    }
    // Later answers change nothing, and are no reason to say it again.
    world.register("cart", &["10.0.0.2"]).await;
    world.register("witness", &["10.0.0.2"]).await;
    world.endpoints("witness", &["10.0.0.1", "10.0.0.2"]).await;
    proxy.more_polls("cart", 20).await;
    for ((entry, code, _), before) in cases.iter().zip(&before) {
        let title = format!("{}/{}\"", world.namespace, entry.name());
        assert_eq!(controller.said(&[&title, code]), 1, "{title}: {:#?}", controller.log());
        assert_eq!(controller.said(&[&title]), 1, "{title}: {:#?}", controller.log());
        assert_eq!(&world.get(entry.name()).await, before, "{title}");
    }
    let writes = writes(api, &world.namespace).await;
    assert!(writes.iter().all(|write| write.name == "witness"), "{writes:#?}");
    // Corrected, it is served.
    world.patch("external", "operator", &json!({"metadata": {"annotations": {"aeraki.net/external": "true"}}})).await;
    let live = world.endpoints("external", &["10.0.0.1", "10.0.0.2"]).await;
    assert_eq!(live["spec"]["location"], "MESH_EXTERNAL");
}

#[tokio::test]
async fn too_many_instances_are_refused_with_figures() {
    let Some((world, api)) = World::shared("many").await else { return };
    // Seldom: an answer is some megabytes long.
    let mut controller = world.controller().flag("poll-interval", "1s").start();
    for name in ["cart", "witness"] {
        world.register(name, &["10.0.0.1"]).await;
        world.create(&world.entry(name)).await;
        world.endpoints(name, &["10.0.0.1"]).await;
    }
    // Away while they come, so that there is nothing to write on the way to the limit.
    assert!(controller.stop().await.success());
    let before = writes(api, &world.namespace).await.len();
    let host = |number: usize| format!("10.1.{}.{}", number / 250, number % 250 + 1);
    let instances: Vec<_> = (0..5_000).map(|number| world.instance("cart", &host(number))).collect();
    world.admin.register_all(&instances).await;
    world.register("witness", &["10.0.0.2"]).await;
    controller.start_again();
    controller.says(&["ERROR", "/cart", "too-many-endpoints", "5001", "4096"]).await;
    world.endpoints("witness", &["10.0.0.1", "10.0.0.2"]).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    assert_eq!(writes(api, &world.namespace).await.len(), before + 1, "the witness's");
    assert_eq!(controller.said(&["too-many-endpoints"]), 1);
}

#[tokio::test]
async fn rights_that_lack_are_named() {
    let Some((world, api)) = World::shared("rights").await else { return };
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let state = format!("configmap:{}/polaris2istio-state", world.namespace);
    let limited = world.controller().kubeconfig(&api.kubeconfig(User::Limited));
    let controller = limited.flag("state", &state).start();
    controller
        .says(&["WARN", "polaris2istio-state", "forbidden", "grant get, list, watch, create and update on it"])
        .await;
    grant(api, &world.namespace, &[]).await;
    controller.says(&["WARN", &world.namespace, "403", "watch and list on serviceentries.networking.istio.io"]).await;
    grant(api, &world.namespace, &["watch", "list"]).await;
    controller.says(&["WARN", "/cart", "403", "grant this identity the verb patch on serviceentries"]).await;
    world.endpoints("cart", &[]).await;
    grant(api, &world.namespace, &["watch", "list", "patch"]).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    controller.says(&["can be written again"]).await;
    for words in [["cannot be watched", "403"], ["not written", "403"]] {
        assert_eq!(controller.said(&words), 1, "{:#?}", controller.log());
    }
}

/// Lets the limited user keep the shared state, and do so much with ServiceEntries, and no more than that: it is all that the
/// controller needs.
async fn grant(api: &ApiServer, namespace: &str, verbs: &[&str]) {
    let client = api.client().await;
    let state = ["get", "list", "watch", "create", "update"];
    let mut rules = vec![json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": state})];
    if !verbs.is_empty() {
        rules.push(json!({"apiGroups": ["networking.istio.io"], "resources": ["serviceentries"], "verbs": verbs}));
    }
    let role: Role = serde_json::from_value(json!({"metadata": {"name": "sync"}, "rules": rules})).unwrap();
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "sync"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sync"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}],
    }))
    .unwrap();
    let parameters = PatchParams::apply("operator");
    let roles: Api<Role> = Api::namespaced(client.clone(), namespace);
    roles.patch("sync", &parameters, &Patch::Apply(role)).await.unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(client, namespace);
    bindings.patch("sync", &parameters, &Patch::Apply(binding)).await.unwrap();
}

#[tokio::test]
async fn a_missing_crd_is_named_and_waited_for() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let api = ApiServer::start_without_crds(binaries).await;
    let world = World::new(&api, &servers.polaris, "no-crd").await;
    let controller = world.controller().start();
    controller.says(&["WARN", "serviceentries.networking.istio.io", "install Istio's CRDs"]).await;
    world.register("cart", &["10.0.0.1"]).await;
    api.install_crds(binaries).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    assert_eq!(controller.said(&["install Istio's CRDs"]), 1);
}

#[tokio::test]
async fn an_address_that_does_not_resolve_is_named() {
    let Some((world, api)) = World::shared("unresolved").await else { return };
    world.create(&world.entry("cart")).await;
    let controller = world.controller().flag("polaris-address", "nowhere.invalid:8090").start();
    controller.says(&["WARN", "nowhere.invalid:8090", "does not resolve", "check the spelling"]).await;
    assert_eq!(writes(api, &world.namespace).await, []);
}

/// Starts a controller that cannot start, and checks its exit code and its only words.
async fn check_refused(start: super::controller::Start, words: &[&str]) {
    let mut controller = start.start();
    let status = controller.process.wait(SOON).await;
    let log = controller.log();
    assert_eq!(status.code(), Some(1), "{log:#?}");
    assert_eq!(controller.said(&["error:"]), 1, "{log:#?}");
    words.iter().for_each(|word| assert!(controller.said(&["error:", word]) == 1, "no `{word}` in {log:#?}"));
}

#[tokio::test]
async fn what_it_cannot_start_with_is_refused() {
    let Some((world, _)) = World::shared("refused").await else { return };
    let missing = world.controller().kubeconfig(Path::new("/nonexistent/kubeconfig"));
    check_refused(missing, &["/nonexistent/kubeconfig", "set KUBECONFIG"]).await;
    let scheme = world.controller().flag("polaris-address", "ftp://127.0.0.1:8091");
    check_refused(scheme, &["ftp://127.0.0.1:8091", "grpc://"]).await;
}
