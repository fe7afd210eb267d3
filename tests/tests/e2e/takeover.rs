//! Entries as the original tool has them: with resolution NONE, or filled by it.

use kube::api::PostParams;
use serde_json::{Value, json};

use super::entry::{addresses, annotation, ports};
use super::world::{World, kubectl, writes};

#[tokio::test]
async fn none_becomes_static_along_with_the_endpoints() {
    let Some((world, api)) = World::shared("none").await else { return };
    let controller = world.controller().start();
    for (name, resolution) in [("none", json!("NONE")), ("unset", json!(null))] {
        let file = world.entry(name).with(&json!({"spec": {"resolution": resolution}}));
        kubectl(api, &["apply", "-f", "-"], &file).await;
        let entry = format!("{}/{name}", world.namespace);
        controller.says(&["WARN", &entry, "resolution-placeholder"]).await;
        world.register(name, &["10.0.0.1"]).await;
        let live = world.endpoints(name, &["10.0.0.1"]).await;
        assert_eq!(live["spec"]["resolution"], "STATIC", "{name}");
        let writes = writes(api, &world.namespace).await;
        let of = writes.iter().filter(|write| write.name == name);
        let resolved: Vec<_> = of.filter(|write| write.body["spec"]["resolution"] == "STATIC").collect();
        assert!(
            resolved.iter().all(|write| write.body["spec"]["endpoints"][0]["address"] == "10.0.0.1"),
            "{writes:#?}"
        );
    }
}

/// Entries that the original wrote with the field manager `aeraki` are followed on, without a moment without endpoints.
#[tokio::test]
async fn what_the_original_filled_is_served_on() {
    let Some((world, api)) = World::shared("original").await else { return };
    world.register("cart", &["10.0.0.1", "10.0.0.2"]).await;
    let filled = json!({
        "metadata": {"annotations": {"aeraki.net/revision": "0123456789abcdef"}},
        "spec": {
            "addresses": ["240.240.0.7"],
            "location": "MESH_INTERNAL",
            "ports": [{"name": "http-8080", "number": 8080, "protocol": "HTTP", "targetPort": 8080}],
            "endpoints": [
                {"address": "10.0.0.1", "ports": {"http-8080": 8080}, "weight": 100},
                {"address": "10.0.0.9", "ports": {"http-8080": 8080}, "weight": 100},
            ],
        },
    });
    world.create(&world.entry("cart")).await;
    world.patch("cart", "aeraki", &filled).await;
    let _controller = world.controller().start();
    let live = world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    assert_eq!(ports(&live), ["http-8080 8080 HTTP"]);
    assert_eq!(live["spec"]["addresses"], json!(["240.240.0.7"]));
    assert_ne!(annotation(&live, "aeraki.net/revision"), Some("0123456789abcdef"));
    let writes = writes(api, &world.namespace).await;
    assert_eq!(writes.len(), 1, "{writes:#?}");
    assert_eq!(addresses(&writes[0].body), ["10.0.0.1", "10.0.0.2"]);
}

/// The virtual IPs that an entry has: Aeraki's, and those that istiod allocated.
fn virtual_ips(entry: &Value) -> [&Value; 2] {
    [&entry["spec"]["addresses"], &entry["status"]["addresses"]]
}

/// Writes an entry as the original does: the whole object, in place of the one that is there, as `aeraki`.
async fn original_writes(world: &World, name: &str, spec: &Value) -> Value {
    let mut object = world.entries.get(name).await.unwrap();
    object.metadata.managed_fields = None;
    object.metadata.annotations.get_or_insert_default().insert("aeraki.net/revision".into(), "0123".into());
    for (field, value) in spec.as_object().unwrap() {
        object.data["spec"][field] = value.clone();
    }
    let parameters = PostParams { field_manager: Some("aeraki".into()), ..PostParams::default() };
    serde_json::to_value(world.entries.replace(name, &parameters, &object).await.unwrap()).unwrap()
}

/// From the operator's file by the original's hands to ours, and back again: at no moment without an endpoint, and the
/// virtual IPs are never touched.
#[tokio::test]
async fn an_entry_changes_hands_and_back() {
    let Some((world, api)) = World::shared("hands").await else { return };
    let endpoint = |host: &str, port: &str| json!({"address": host, "ports": {(port): 8080}, "weight": 100});
    let original = |port: &str, protocol: &str, hosts: &[&str]| {
        json!({
            "addresses": ["240.240.0.9"],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "ports": [{"name": port, "number": 8080, "protocol": protocol, "targetPort": 8080}],
            "endpoints": hosts.iter().map(|host| endpoint(host, port)).collect::<Vec<_>>(),
        })
    };
    let cases = [
        ("same", "http-8080", "HTTP", vec!["10.0.0.1", "10.0.0.2"]),
        ("stale", "http-8080", "HTTP", vec!["10.0.0.1", "10.0.0.7"]),
        ("tcp", "tcp-8080", "TCP", vec!["10.0.0.2", "10.0.0.1"]),
    ];
    let registered = ["10.0.0.1", "10.0.0.2"];
    let mut before = Vec::new();
    for (name, port, protocol, hosts) in &cases {
        world.register(name, &registered).await;
        // The original's examples say NONE.
        let mut file = world.entry(name).with(&json!({"spec": {"resolution": "NONE"}}));
        if *protocol == "TCP" {
            // HTTP instances are not mixed into a TCP port, unless the operator says so.
            file = file.with(&json!({"metadata": {"annotations": {"aeraki.net/protocol": "any"}}}));
        }
        kubectl(api, &["apply", "-f", "-"], &file).await;
        original_writes(&world, name, &original(port, protocol, hosts)).await;
        world.patch_status(name, &json!({"addresses": [{"value": "240.240.7.7", "host": "x"}]})).await;
        before.push(world.get(name).await.unwrap());
    }
    // A start that meets no registry leaves everything as it is.
    let mut early = world.controller().flag("polaris-address", "127.0.0.1:1").start();
    early.says(&["WARN", "cannot be reached"]).await;
    assert!(early.stop().await.success());
    for ((name, ..), before) in cases.iter().zip(&before) {
        assert_eq!(world.get(name).await.as_ref(), Some(before));
    }
    let mut controller = world.controller().start();
    for ((name, port, protocol, _), before) in cases.iter().zip(&before) {
        let live =
            world.until("it is ours", name, |entry| annotation(entry, "aeraki.net/revision") != Some("0123")).await;
        assert_eq!(addresses(&live), registered, "{name}");
        assert_eq!(ports(&live), [format!("{port} 8080 {protocol}")], "{name}");
        assert_eq!(virtual_ips(&live), virtual_ips(before), "{name}");
        assert_eq!(
            (&live["spec"]["hosts"], &live["metadata"]["uid"]),
            (&before["spec"]["hosts"], &before["metadata"]["uid"])
        );
    }
    let taken = writes(api, &world.namespace).await;
    assert_eq!(taken.len(), cases.len(), "one write for each: {taken:#?}");
    for write in &taken {
        assert_eq!(addresses(&write.body), registered, "{write:#?}");
        assert!(["hosts", "addresses"].iter().all(|field| write.body["spec"].get(field).is_none()), "{write:#?}");
    }
    // Rolled back: the original writes again, and is followed again.
    assert!(controller.stop().await.success());
    let back = original_writes(&world, "same", &original("http-8080", "HTTP", &["10.0.0.1"])).await;
    assert_eq!((addresses(&back), virtual_ips(&back)), (vec!["10.0.0.1"], virtual_ips(&before[0])));
    controller.start_again();
    let live = world.endpoints("same", &registered).await;
    assert_eq!(virtual_ips(&live), virtual_ips(&before[0]));
}
