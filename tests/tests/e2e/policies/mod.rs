//! Policies: entries that nobody writes, and those that no policy may touch.

mod leaving;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use polaris2istio::policy::PolarisImport;
use polaris2istio_tests::servers::{self, ApiServer, Manifests};
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::SOON;
use super::controller::{Controller, binary};
use super::entry::addresses;
use super::world::World;

/// A world whose controller has the rights for policies.
struct Policies {
    world: World,
    policies: Api<PolarisImport>,
}

impl Policies {
    async fn new(name: &str) -> Option<Self> {
        let (world, api) = World::shared(name).await?;
        Self::of(world, api).await
    }

    async fn of(world: World, api: &ApiServer) -> Option<Self> {
        let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/policies");
        let manifests = Manifests::kustomize(servers::binaries()?, overlay);
        api.apply(&manifests.moved(&world.release.namespace, &world.namespace).0, false).await;
        let policies = Api::namespaced(world.client(), &world.namespace);
        until_served(&policies).await;
        Some(Self { world, policies })
    }

    fn start(&self) -> Controller {
        self.world.controller().switch("policies").http().socket().start()
    }

    fn policy(&self, spec: Value) -> PolarisImport {
        let mut spec = spec;
        spec["polarisNamespace"] = json!(self.world.namespace);
        if spec.get("template").is_none() {
            spec["template"] = json!({"hosts": ["{service}.polaris"]});
        }
        PolarisImport::new("all", serde_json::from_value(spec).unwrap())
    }

    async fn create(&self, spec: Value) {
        self.policies.create(&PostParams::default(), &self.policy(spec)).await.unwrap();
    }

    async fn patch(&self, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.policies.patch("all", &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until the policy's condition `Ready` has this reason; returns its status.
    async fn until(&self, reason: &str) -> Value {
        wait_for(&format!("the policy is {reason}"), SOON, || async {
            let policy = self.policies.get("all").await.unwrap();
            let current = policy.metadata.generation;
            let status = json!(policy.status);
            let ready =
                status["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == "Ready").cloned();
            let fits =
                ready.is_some_and(|ready| ready["reason"] == reason && ready["observedGeneration"] == json!(current));
            if fits { Ok(status) } else { Err(status) }
        })
        .await
    }

    /// Waits until an Event on the policy has this reason.
    async fn event(&self, reason: &str) {
        let events: Api<Event> = Api::namespaced(self.world.client(), &self.world.namespace);
        wait_for(&format!("an Event says {reason}"), SOON, || async {
            let all = events.list(&Default::default()).await.unwrap().items;
            let about = |event: &&Event| {
                event.regarding.as_ref().is_some_and(|about| about.kind.as_deref() == Some("PolarisImport"))
            };
            let reasons: Vec<_> = all.iter().filter(about).filter_map(|event| event.reason.clone()).collect();
            if reasons.iter().any(|found| found == reason) { Ok(()) } else { Err(format!("{reasons:?}")) }
        })
        .await;
    }

    async fn entries(&self) -> BTreeMap<String, DynamicObject> {
        let all = self.world.entries.list(&Default::default()).await.unwrap();
        all.items.into_iter().map(|entry| (entry.metadata.name.clone().unwrap(), entry)).collect()
    }
}

async fn until_served(policies: &Api<PolarisImport>) {
    wait_for("the CRD is served", SOON, || async {
        policies.list(&Default::default()).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

fn is_filled(entry: &DynamicObject) -> bool {
    entry.data.pointer("/spec/endpoints").and_then(Value::as_array).is_some_and(|all| all.len() == 1)
}

#[tokio::test]
async fn entries_are_made_for_all_and_fill() {
    let Some(policies) = Policies::new("policy-all").await else { return };
    let world = &policies.world;
    // More where somebody wants to know how long they take.
    let count = std::env::var("POLARIS2ISTIO_SERVICES").map_or(50, |count| count.parse().unwrap());
    let address = |n: usize| format!("10.1.{}.{}", n / 250, n % 250);
    let instances: Vec<_> = (0..count).map(|n| world.instance(&format!("Svc_{n}"), &address(n))).collect();
    world.admin.register_all(&instances).await;
    let controller = policies.start();
    let begin = Instant::now();
    policies.create(json!({})).await;
    let status = policies.until("Synced").await;
    assert_eq!((status["services"].clone(), status["entries"].clone()), (json!(count), json!(count)), "{status}");
    wait_for("all entries are filled", SOON, || async {
        let entries = policies.entries().await;
        let filled = entries.values().filter(|entry| is_filled(entry)).count();
        if (entries.len(), filled) == (count, count) {
            Ok(())
        } else {
            Err(format!("{} entries, {filled} filled", entries.len()))
        }
    })
    .await;
    println!("{count} entries were made and filled within {:?}", begin.elapsed());
    let (name, entry) = policies.entries().await.pop_first().unwrap();
    assert!(name.starts_with("svc-0-"), "{name}");
    assert_eq!(entry.data["spec"]["hosts"], json!([format!("{name}.polaris")]));
    assert_eq!(entry.data["spec"]["resolution"], "STATIC");
    // One that comes later.
    world.admin.register(&world.instance("late", "10.2.0.1")).await;
    let begin = Instant::now();
    world.until("it has an entry", "late", |entry| !entry.is_null()).await;
    let took = begin.elapsed();
    world.endpoints("late", &["10.2.0.1"]).await;
    // Three seconds, and what the other tests beside this one take.
    assert!(took < Duration::from_secs(10), "{took:?}");
    wait_for("the status counts it", SOON, || async {
        let status = policies.until("Synced").await;
        if status["entries"] == count + 1 { Ok(()) } else { Err(status) }
    })
    .await;
    let (_, metrics) = controller.get("/metrics").await;
    for line in [
        &*format!("polaris2istio_imported_total {}", count + 1),
        "polaris2istio_policy_ready{policy=\"all\"} 1",
        "polaris2istio_pruned_total 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let told = controller.verb(&["status"]);
    assert!(told.contains(&format!("policy    all: {0} services, {0} entries, ready", count + 1)), "{told}");
    // Nothing is written for nothing.
    let written = world.get("late").await.unwrap()["metadata"]["resourceVersion"].clone();
    policies.patch(json!({"prune": {"after": "12h"}})).await;
    policies.until("Synced").await;
    assert_eq!(world.get("late").await.unwrap()["metadata"]["resourceVersion"], written);
}

#[tokio::test]
async fn no_mistake_prunes_and_no_stranger_is_touched() {
    let Some(policies) = Policies::new("policy-safe").await else { return };
    let world = &policies.world;
    let names = ["a", "b", "c", "mine"];
    for name in names {
        world.register(name, &["10.0.0.1"]).await;
    }
    world.create(&world.entry("mine")).await;
    let before = world.get("mine").await.unwrap();
    let controller = policies.start();
    policies.create(json!({"prune": {"after": "1s"}})).await;
    let status = policies.until("Refused").await;
    assert_eq!(status["refusedServices"][0]["service"], "mine", "{status}");
    assert!(status["refusedServices"][0]["reason"].as_str().unwrap().contains("is of no policy"), "{status}");
    for name in &names[..3] {
        world.endpoints(name, &["10.0.0.1"]).await;
    }
    // A selector that selects nothing: what would vanish is all there is.
    policies.patch(json!({"select": {"names": ["x-*"]}})).await;
    let status = policies.until("PruningHeld").await;
    assert_eq!((status["services"].clone(), status["gone"].clone()), (json!(0), json!(3)), "{status}");
    controller.says(&["not ready, PruningHeld"]).await;
    policies.event("PruningHeld").await;
    assert_eq!(policies.entries().await.len(), 4);
    policies.patch(json!({"select": {"names": null}})).await;
    policies.until("Refused").await;
    let after = world.get("mine").await.unwrap();
    for pointer in ["/metadata/uid", "/metadata/labels", "/spec/hosts"] {
        assert_eq!(after.pointer(pointer), before.pointer(pointer));
    }
    let managers = json!(after["metadata"]["managedFields"]);
    assert!(!managers.to_string().contains("polaris2istio-policy"), "{managers}");
    // A policy that is deleted leaves its entries.
    let uid = world.get("a").await.unwrap()["metadata"]["uid"].clone();
    policies.policies.delete("all", &Default::default()).await.unwrap();
    policies.create(json!({"select": {"exclude": ["mine"]}})).await;
    policies.until("Synced").await;
    assert_eq!(world.get("a").await.unwrap()["metadata"]["uid"], uid, "it is the same, of the new policy");
}

#[tokio::test]
async fn a_service_that_comes_back_has_its_entry_and_what_an_operator_wrote() {
    let Some(policies) = Policies::new("policy-back").await else { return };
    let world = &policies.world;
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.register(name, &["10.0.0.1"]).await;
    }
    let _controller = policies.start();
    policies.create(json!({})).await;
    policies.until("Synced").await;
    let entry = world.endpoints("a", &["10.0.0.1"]).await;
    let own =
        json!({"metadata": {"annotations": {"example.com/vip": "240.0.0.7"}}, "spec": {"addresses": ["240.0.0.7"]}});
    world.patch("a", "operator", &own).await;
    world.deregister("a", &["10.0.0.1"]).await;
    world.admin.delete_service(&world.namespace, "a").await;
    let gone = |entry: &Value| entry["metadata"]["annotations"].get("polaris2istio.aeraki.net/gone-since").is_some();
    world.until("it is noted as gone", "a", gone).await;
    world.register("a", &["10.0.0.2"]).await;
    world.until("it is back", "a", |entry| !gone(entry) && addresses(entry).contains(&"10.0.0.2")).await;
    let back = world.get("a").await.unwrap();
    assert_eq!(back["metadata"]["uid"], entry["metadata"]["uid"]);
    assert_eq!(back["metadata"]["annotations"]["example.com/vip"], "240.0.0.7");
    assert_eq!(back["spec"]["addresses"], json!(["240.0.0.7"]));
    policies.until("Synced").await;
}

#[tokio::test]
async fn what_is_gone_is_pruned_after_its_time() {
    let Some(policies) = Policies::new("policy-prune").await else { return };
    let world = &policies.world;
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.register(name, &["10.0.0.1"]).await;
    }
    let grpc = servers::shared().await.unwrap().polaris.grpc_address();
    let controller = world.controller().switch("policies").flag("empty-hold", "1s").flag("polaris-address", &grpc);
    let _controller = controller.start();
    policies.create(json!({"prune": {"after": "2s"}})).await;
    policies.until("Synced").await;
    world.endpoints("a", &["10.0.0.1"]).await;
    world.deregister("a", &["10.0.0.1"]).await;
    world.admin.delete_service(&world.namespace, "a").await;
    world.until("it is deleted", "a", Value::is_null).await;
    wait_for("the status counts it no more", SOON, || async {
        let status = policies.until("Synced").await;
        if status["entries"] == 5 { Ok(()) } else { Err(status) }
    })
    .await;
}

/// `generate --diff` shows what would be written, and writes nothing.
#[tokio::test]
async fn a_policy_can_be_looked_at_before() {
    let Some(policies) = Policies::new("policy-diff").await else { return };
    let world = &policies.world;
    world.register("a", &["10.0.0.1"]).await;
    let _controller = policies.start();
    policies.create(json!({})).await;
    policies.until("Synced").await;
    let before = world.endpoints("a", &["10.0.0.1"]).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    let diff = |change: Value| {
        let policy = json!(policies.policy(change));
        std::fs::write(&file, policy.to_string()).unwrap();
        let mut command = std::process::Command::new(binary());
        command.args(["generate", "--diff", "--namespace", &world.namespace, "--polaris-address", &world.polaris]);
        command.arg("--policy").arg(&file).arg("--kubeconfig").arg(&world.release.kubeconfig);
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, told) = diff(json!({}));
    assert_eq!((code, &*out), (0, ""), "{told}");
    let template = json!({"hosts": ["{service}.polaris"], "labels": {"team": "shop"}});
    let (code, out, told) = diff(json!({"template": template}));
    assert_eq!(code, 1, "{told}");
    assert!(out.starts_with(&format!("--- cluster/{0}/a\n+++ policy/{0}/a\n", world.namespace)), "{out}");
    let changed: Vec<_> = out.lines().skip(2).filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(changed, ["+    team: shop"], "{out}");
    assert!(told.contains("0 entries would be made, 1 changed and 0 deleted"), "{told}");
    let (code, out, told) = diff(json!({"select": {"names": ["x*"]}}));
    assert_eq!((code, &*out), (0, ""), "{told}");
    assert!(told.contains("PruningHeld: 1 of 1 entries"), "{told}");
    assert_eq!(world.get("a").await.unwrap()["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
}

/// The API server itself refuses what cannot work.
#[tokio::test]
async fn the_schema_refuses_what_cannot_work() {
    let Some(policies) = Policies::new("policy-schema").await else { return };
    let refused = async |change: Value, words: &str| {
        let mut policy = json!(policies.policy(json!({})));
        for (pointer, value) in change.as_object().unwrap() {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            policy.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        let policy: DynamicObject = serde_json::from_value(policy).unwrap();
        let resource = kube::api::ApiResource::erase::<PolarisImport>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(policies.world.client(), &policies.world.namespace, &resource);
        let error = api.create(&PostParams { dry_run: true, ..PostParams::default() }, &policy).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(json!({"/spec/polarisNamespace": ""}), "polarisNamespace").await;
    refused(json!({"/spec/select": {"names": []}}), "spec.select.names").await;
    refused(json!({"/spec/select": {"names": ["a[b"]}}), "spec.select.names[0]").await;
    refused(json!({"/spec/template/hosts": []}), "spec.template.hosts").await;
    refused(json!({"/spec/template/hosts": ["one.polaris"]}), "spec.template.hosts[0]").await;
    refused(json!({"/spec/template/name": "one"}), "spec.template.name").await;
    refused(json!({"/spec/prune": {"after": "soon"}}), "spec.prune.after").await;
    let expression = json!([{"key": "a", "operator": "In"}]);
    refused(json!({"/spec/select": {"matchExpressions": expression}}), "need values").await;
    let port = |name: &str, number: u32| json!({"name": name, "number": number, "protocol": "HTTP"});
    refused(json!({"/spec/template/ports": [port("a", 80), port("b", 80)]}), "two ports have one number").await;
    policies.create(json!({})).await;
    let patch = Patch::Merge(json!({"spec": {"polarisNamespace": "other"}}));
    let error = policies.policies.patch("all", &PatchParams::default(), &patch).await.unwrap_err();
    assert!(error.to_string().contains("polarisNamespace cannot change"), "{error}");
}

/// Every right of the Role is needed, and without it the log says which is missing.
#[tokio::test]
async fn no_right_for_policies_is_spare() {
    let (Some(_), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/policies");
    let shipped = Manifests::kustomize(binaries, overlay);
    let role = shipped.of_kind("Role").find(|role| role["metadata"]["name"] == "polaris2istio-policies").unwrap();
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for verb in rule["verbs"].as_array().unwrap() {
            rights.push(format!("{} {}", rule["resources"][0].as_str().unwrap(), verb.as_str().unwrap()));
        }
    }
    let needed = [
        ("polarisimports list", "PolarisImports cannot be watched"),
        ("polarisimports watch", "PolarisImports cannot be watched"),
        ("polarisimports patch", "the policy's finalizer is not written"),
        ("polarisimports/status patch", "the policy's status is not written"),
        ("serviceentries create", "policy: not written"),
        ("serviceentries delete", "policy: not written"),
    ];
    assert_eq!(rights, needed.map(|(right, _)| right.to_owned()));
    futures::future::join_all(needed.map(|(right, words)| check_needed(right, words))).await;
}

async fn check_needed(right: &str, words: &str) {
    let name = format!("policy-{}", right.replace([' ', '/'], "-"));
    let Some(policies) = Policies::new(&name).await else { return };
    let world = &policies.world;
    let api: &ApiServer = &servers::shared().await.unwrap().api;
    let (resource, verb) = right.split_once(' ').unwrap();
    let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/policies");
    let mut manifests =
        Manifests::kustomize(servers::binaries().unwrap(), overlay).moved(&world.release.namespace, &world.namespace);
    for role in manifests
        .0
        .iter_mut()
        .filter(|role| role["metadata"]["name"] == "polaris2istio-policies" && role["kind"] == "Role")
    {
        let rules = role["rules"].as_array_mut().unwrap();
        for rule in rules.iter_mut().filter(|rule| rule["resources"][0] == resource) {
            rule["verbs"].as_array_mut().unwrap().retain(|named| named != verb);
        }
        rules.retain(|rule| rule["verbs"].as_array().is_some_and(|verbs| !verbs.is_empty()));
    }
    api.apply(&manifests.0, false).await;
    world.register("a", &["10.0.0.1"]).await;
    world.register("b", &["10.0.0.1"]).await;
    policies.create(json!({"prune": {"after": "0s", "limit": "100%"}, "onDelete": "Prune"})).await;
    let controller = world.controller().switch("policies").flag("empty-hold", "0s").start();
    if verb == "delete" {
        world.endpoints("a", &["10.0.0.1"]).await;
        policies.patch(json!({"select": {"names": ["b"]}})).await;
    }
    controller.says(&["WARN", words, "403"]).await;
}
