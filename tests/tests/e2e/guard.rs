//! The holds of the guard, and the stops of all writes.

use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use polaris2istio::converter::Identity;
use polaris2istio::guard::Kind;
use polaris2istio::source::ModuleBytes;
use polaris2istio::writes::BlockReason;
use polaris2istio_tests::servers::{self, Polaris, PolarisOptions};
use polaris2istio_tests::{guest, wait_for};
use serde_json::{Value, json};

use super::SOON;
use super::controller::Controller;
use super::entry::addresses;
use super::in_process::InProcess;
use super::world::{World, by_controller, writes};

const FIVE: [&str; 5] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"];

#[tokio::test]
async fn a_mass_removal_is_held_and_then_believed() {
    let Some((world, api)) = World::shared("mass-removal").await else { return };
    world.register("cart", &FIVE).await;
    world.create(&world.entry("cart")).await;
    let mut controller = world.controller().flag("removal-hold", "5s").flag("empty-hold", "20s").start();
    world.endpoints("cart", &FIVE).await;
    // While it is away, so that it sees them go in one answer.
    assert!(controller.stop().await.success());
    world.deregister("cart", &FIVE[1..]).await;
    controller.start_again();
    controller.says(&["WARN", "/cart", "endpoints held for", "vanished from the registry within 10m"]).await;
    world.register("cart", &["10.0.0.9"]).await;
    let both: Vec<_> = FIVE.into_iter().chain(["10.0.0.9"]).collect();
    world.endpoints("cart", &both).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.9"]).await;
    controller.says(&["/cart", "no longer held"]).await;
    let writes = writes(api, &world.namespace).await;
    assert_eq!(writes.len(), 3, "what was there first, what came, and what went: {writes:#?}");
}

#[tokio::test]
async fn a_registry_that_restarts_empty_clears_no_entry() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let mut polaris = Polaris::start(binaries, PolarisOptions::default()).await;
    let world = World::new(&servers.api, &polaris, "fleet").await;
    let names = ["a", "b", "c", "d", "e", "f"];
    // Neither a short hold nor the shortest one clears what the alarm holds.
    let mut controller = world.controller().flag("empty-hold", "10s").flag("removal-hold", "1s").start();
    for name in names {
        world.register(name, &FIVE[..2]).await;
        world.create(&world.entry(name)).await;
    }
    for name in names {
        world.endpoints(name, &FIVE[..2]).await;
    }
    let before = writes(&servers.api, &world.namespace).await;
    polaris.start_again_empty().await;
    controller.says(&["ERROR", "of 6 services lost half of their endpoints or more"]).await;
    // A restart does not forget it: what is published is what counts.
    assert!(controller.stop().await.success());
    controller.start_again();
    wait_for("the alarm is raised again", SOON, || async {
        let times = controller.said(&["lost half of their endpoints or more"]);
        if times == 2 { Ok(()) } else { Err(controller.process.log_tail()) }
    })
    .await;
    for name in &names[1..] {
        world.register(name, &FIVE[..2]).await;
    }
    // One that lists another instance has it beside those that are held.
    world.register("a", &["10.0.0.9"]).await;
    world.endpoints("a", &["10.0.0.1", "10.0.0.2", "10.0.0.9"]).await;
    world.register("a", &FIVE[..2]).await;
    controller.says(&["disappearances are no longer held for all services"]).await;
    let after = writes(&servers.api, &world.namespace).await;
    assert_eq!(after.len(), before.len() + 1, "only what came: {after:#?}");
    for name in &names[1..] {
        world.endpoints(name, &FIVE[..2]).await;
    }
}

#[tokio::test]
async fn a_module_that_drops_fit_instances_takes_nothing_away() {
    let Some((world, api)) = World::shared("module-drops").await else { return };
    let module = format!("file:{}", guest::misbehaving().display());
    // Without a memory of the last module nothing is compared before, and the guard stands alone.
    let start = || world.controller().flag("module", &module).flag("state", "none");
    world.register("cart", &FIVE[..4]).await;
    world.create(&world.entry("cart")).await;
    let mut controller = start().start();
    // This module leaves them in the order of their ids.
    let has = |hosts: &'static [&str]| {
        move |entry: &Value| {
            let mut found = addresses(entry);
            found.sort_unstable();
            found == hosts
        }
    };
    world.until("all are there", "cart", has(&FIVE[..4])).await;
    assert!(controller.stop().await.success());
    let before = writes(api, &world.namespace).await;

    let mut dropping = start().flag("module-param", "behaviour=drop-half").start();
    dropping.says(&["WARN", "/cart", "held without end", "the module drops 2 of 4", "promote it or release"]).await;
    assert_eq!(writes(api, &world.namespace).await, before);
    // Instances that are deregistered go all the same.
    world.deregister("cart", &["10.0.0.4"]).await;
    world.until("the others are held", "cart", has(&FIVE[..3])).await;
    assert!(dropping.stop().await.success());

    // The entry's owner allows it.
    let allow = json!({"metadata": {"annotations": {"aeraki.net/moduleRemovalLimit": "100%"}}});
    world.patch("cart", "operator", &allow).await;
    dropping.start_again();
    world.until("half is left", "cart", |entry| addresses(entry).len() == 1).await;
}

#[tokio::test]
async fn a_person_releases_and_pauses() {
    let Some((world, api)) = World::shared("release").await else { return };
    world.register("cart", &FIVE[..1]).await;
    world.create(&world.entry("cart")).await;
    let controller = InProcess::start(&world).await;
    world.endpoints("cart", &FIVE[..1]).await;
    let title = format!("{}/cart", world.namespace);
    world.deregister("cart", &FIVE[..1]).await;
    wait_for("it holds", SOON, || async {
        let holds = controller.holds.of(&title);
        if holds.len() == 1 { Ok(()) } else { Err(format!("{holds:?}")) }
    })
    .await;
    world.endpoints("cart", &FIVE[..1]).await;
    assert!(controller.holds.release(&title));
    world.endpoints("cart", &[]).await;

    controller.gate.block(BlockReason::Paused);
    let before = writes(api, &world.namespace).await;
    world.register("cart", &["10.0.0.7"]).await;
    world.register("other", &["10.0.0.8"]).await;
    world.create(&world.entry("other")).await;
    controller.gate.block(BlockReason::Standby);
    controller.gate.unblock(BlockReason::Paused);
    assert_eq!(writes(api, &world.namespace).await, before);
    controller.gate.unblock(BlockReason::Standby);
    world.endpoints("cart", &["10.0.0.7"]).await;
    world.endpoints("other", &["10.0.0.8"]).await;
}

#[tokio::test]
async fn a_paused_entry_is_rehearsed_and_not_written() {
    let Some((world, api)) = World::shared("paused").await else { return };
    world.register("cart", &FIVE[..1]).await;
    world.create(&world.entry("cart").annotated("aeraki.net/paused", "true")).await;
    let controller = world.controller().start();
    controller.says(&["INFO", "/cart", "would be written", "\"added\":1", "aeraki.net/paused"]).await;
    let sent: Vec<_> = api.writes(&world.namespace).await.into_iter().filter(by_controller).collect();
    assert!(sent.iter().all(|write| write.uri.contains("dryRun=All")) && sent.len() == 1, "{sent:#?}");
    assert_eq!(addresses(&world.get("cart").await.unwrap()), [""; 0]);
    // The operator wanted it so: a run that does nothing else has not failed.
    for switches in [vec!["once"], vec!["once", "dry-run"]] {
        let start = switches.iter().fold(world.controller(), |start, switch| start.switch(switch));
        assert!(start.start().process.wait(SOON).await.success(), "{switches:?}");
    }
    world.patch("cart", "operator", &json!({"metadata": {"annotations": {"aeraki.net/paused": null}}})).await;
    world.endpoints("cart", &FIVE[..1]).await;
}

/// A write that a pause holds back is told only while it waits: also if the change is undone meanwhile.
#[tokio::test]
async fn a_pause_that_nothing_waits_for_is_no_problem() {
    let Some((world, api)) = World::shared("no-wait").await else { return };
    let controller = world.controller().http().socket().start();
    world.register("cart", &FIVE[..1]).await;
    world.create(&world.entry("cart")).await;
    world.create(&world.entry("own").annotated("aeraki.net/polarisService", "cart")).await;
    world.endpoints("own", &FIVE[..1]).await;
    world.endpoints("cart", &FIVE[..1]).await;
    let paused = |value: Value| json!({"metadata": {"annotations": {"aeraki.net/paused": value}}});
    world.patch("own", "operator", &paused("true".into())).await;
    controller.verb(&["pause"]);
    for waits in [true, false, true, false] {
        match waits {
            true => world.register("cart", &FIVE[1..2]).await,
            false => world.deregister("cart", &FIVE[1..2]).await,
        }
        let (state, conditions): (_, &[&str]) = if waits { ("paused", &["paused"]) } else { ("synced", &[]) };
        for name in ["cart", "own"] {
            until_status(&controller, &world, name, state, conditions).await;
        }
    }
    controller.verb(&["resume"]);
    world.patch("own", "operator", &paused(Value::Null)).await;
    for name in ["cart", "own"] {
        until_status(&controller, &world, name, "synced", &[]).await;
    }
    assert_eq!(writes(api, &world.namespace).await.len(), 2);
}

/// Waits until the status has an entry in this state, with these problems and no others.
async fn until_status(controller: &Controller, world: &World, name: &str, state: &str, expected: &[&str]) {
    let title = format!("{}/{name}", world.namespace);
    wait_for(&format!("{title} is {state} with the problems {expected:?}"), SOON * 2, || async {
        let status: Value = serde_json::from_str(&controller.get("/status").await.1).unwrap();
        let entries = status["entries"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["entry"] == title).cloned().unwrap_or_default();
        let problems = entry["problems"].as_array().into_iter().flatten();
        let conditions: Vec<_> = problems.map(|problem| &problem["condition"]).collect();
        if conditions == expected && entry["state"] == state { Ok(()) } else { Err(entry) }
    })
    .await;
}

/// Annotations that steer the guard are told of at once, also where there is nothing to hold and nothing to write, and beside
/// what the module says of others.
#[tokio::test]
async fn an_annotation_that_cannot_be_read_is_told_at_once() {
    let Some((world, _)) = World::shared("unread").await else { return };
    let controller = world.controller().http().start();
    world.register("cart", &FIVE[..1]).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &FIVE[..1]).await;
    for (key, value) in [("emptyHold", "soon"), ("paused", "yes"), ("removalHold", "-1s")] {
        let annotations = |value: Value| json!({"metadata": {"annotations": {format!("aeraki.net/{key}"): value}}});
        world.patch("cart", "operator", &annotations(value.into())).await;
        until_status(&controller, &world, "cart", "synced", &["annotation"]).await;
        world.patch("cart", "operator", &json!({"metadata": {"annotations": {"note": key}}})).await;
        world.patch("cart", "operator", &annotations(Value::Null)).await;
        until_status(&controller, &world, "cart", "synced", &[]).await;
        assert_eq!(controller.said(&["WARN", "/cart", key, value]), 1, "{key}");
    }
    // The module's message about another one does not replace it.
    let both = json!({"metadata": {"annotations": {"aeraki.net/emptyHold": "soon", "aeraki.net/external": "perhaps"}}});
    world.patch("cart", "operator", &both).await;
    until_status(&controller, &world, "cart", "failed", &["rejected", "annotation"]).await;
}

/// Endpoints that flapped are a problem until it has rested for a while, a minute.
#[tokio::test]
async fn a_fight_that_is_over_is_no_problem() {
    let Some((world, _)) = World::shared("peace").await else { return };
    let controller = world.controller().http().start();
    world.register("cart", &FIVE[..1]).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &FIVE[..1]).await;
    // Once may be a mistake; three times is a fight.
    for _ in 0..3 {
        world.patch("cart", "rival", &json!({"spec": {"endpoints": [{"address": "10.9.9.9"}]}})).await;
        world.endpoints("cart", &FIVE[..1]).await;
    }
    until_status(&controller, &world, "cart", "synced", &["fight"]).await;
    until_status(&controller, &world, "cart", "synced", &[]).await;
}

#[tokio::test]
async fn a_dry_run_asks_the_server_and_its_admission_and_writes_nothing() {
    let Some((world, api)) = World::shared("dry-run").await else { return };
    refuse(&world, "10.0.0.6").await;
    for (name, host) in [("cart", "10.0.0.1"), ("bad", "10.0.0.6")] {
        world.register(name, &[host]).await;
        world.create(&world.entry(name)).await;
    }
    let before = [world.get("cart").await, world.get("bad").await];
    let controller = world.controller().switch("dry-run").start();
    controller.says(&["INFO", "/cart", "would be written", "\"added\":1", "this is a dry run"]).await;
    controller.says(&["ERROR", "/bad", "refused for good", "no such endpoint here"]).await;
    assert_eq!(controller.said(&["/bad", "would be written"]), 0);
    let sent: Vec<_> = api.writes(&world.namespace).await.into_iter().filter(by_controller).collect();
    assert!(sent.iter().all(|write| write.uri.contains("dryRun=All")) && sent.len() == 2, "{sent:#?}");
    assert_eq!([world.get("cart").await, world.get("bad").await], before);
}

/// Lets the API server's admission refuse entries of this namespace with such an endpoint.
async fn refuse(world: &World, address: &str) {
    let client = world.entries.clone().into_client();
    let name = world.namespace.clone();
    let rules = json!([{"apiGroups": ["networking.istio.io"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["serviceentries"]}]);
    let expression = format!("!has(object.spec.endpoints) || object.spec.endpoints.all(e, e.address != '{address}')");
    let policy = json!({"failurePolicy": "Fail", "matchConstraints": {"resourceRules": rules},
                        "validations": [{"expression": expression, "message": "no such endpoint here"}]});
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": world.namespace}});
    let binding =
        json!({"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector}});
    for (kind, plural, spec) in [
        ("ValidatingAdmissionPolicy", "validatingadmissionpolicies", policy),
        ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", binding),
    ] {
        let group = "admissionregistration.k8s.io";
        let resource = ApiResource {
            group: group.into(),
            version: "v1".into(),
            api_version: format!("{group}/v1"),
            kind: kind.into(),
            plural: plural.into(),
        };
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": resource.api_version, "kind": kind, "metadata": {"name": name}, "spec": spec,
        }))
        .unwrap();
        Api::<DynamicObject>::all_with(client.clone(), &resource)
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }
    // The server takes a moment to hear of its own policy.
    world.create(&world.entry("probe").annotated("aeraki.net/polarisService", Value::Null)).await;
    wait_for("the policy is in force", SOON, || async {
        let endpoints = json!({"spec": {"endpoints": [{"address": address}]}});
        let parameters = kube::api::PatchParams { dry_run: true, ..Default::default() };
        match world.entries.patch("probe", &parameters, &kube::api::Patch::Merge(&endpoints)).await {
            Err(error) if error.to_string().contains("no such endpoint here") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_module_that_a_person_accepts_may_drop() {
    let Some((world, _)) = World::shared("accepted").await else { return };
    let module = ModuleBytes::new(std::fs::read(guest::misbehaving()).unwrap(), "guest".into());
    world.register("cart", &FIVE[..4]).await;
    world.create(&world.entry("cart")).await;
    let holds = |controller: &InProcess| controller.holds.of(&format!("{}/cart", world.namespace));
    let good = InProcess::start_with(&world, &module, &[]).await;
    world.until("all are there", "cart", |entry| addresses(entry).len() == 4).await;
    drop(good);
    let dropping = InProcess::start_with(&world, &module, &[("behaviour", "drop-half")]).await;
    wait_for("it holds", SOON, || async {
        match holds(&dropping).as_slice() {
            [hold] if hold.kind == Kind::Module && hold.until.is_none() && hold.endpoints == 2 => Ok(()),
            holds => Err(format!("{holds:?}")),
        }
    })
    .await;
    assert_eq!(addresses(&world.get("cart").await.unwrap()).len(), 4);
    let parameters = [("behaviour".to_owned(), "drop-half".to_owned())];
    dropping.holds.accept_module(&Identity::new(module.digest, &parameters));
    world.until("half is left", "cart", |entry| addresses(entry).len() == 2).await;
    assert_eq!(holds(&dropping), []);
}
