//! Entries as the original tool has them: with resolution NONE, or filled by it.

use serde_json::json;

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

/// What the original wrote with the field manager `aeraki` is followed on, without a moment without endpoints.
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
