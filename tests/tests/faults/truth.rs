//! An instance as Polaris has it, and as an entry should have it and its service: written down apart from the rules.

use polaris2istio_tests::servers::Instance;
use serde_json::{Value, json};

use super::stage::{LATE, MARKED};
use super::world::World;

/// An instance at this host, with something of its own in every field that an endpoint has.
pub(crate) fn instance(world: &World, service: &str, host: &str) -> Instance {
    let last = last(host);
    world.instance(service, host).weight(100 + last).version(&format!("v{last}")).metadata("env", "prod").location(
        "ap-guangzhou",
        "ap-guangzhou-3",
        &format!("campus-{last}"),
    )
}

/// The endpoint that it becomes.
pub(crate) fn endpoint(host: &str) -> Value {
    let last = last(host);
    json!({
        "address": host,
        "ports": {"http": 8080},
        "weight": 100 + last,
        // Polaris has added to the metadata what it knows.
        "labels": {
            "env": "prod", "protocol": "http", "version": format!("v{last}"),
            "region": "ap-guangzhou", "zone": "ap-guangzhou-3", "campus": format!("campus-{last}"),
        },
        "locality": format!("ap-guangzhou/ap-guangzhou-3/campus-{last}"),
    })
}

fn last(host: &str) -> u32 {
    host.rsplit('.').next().unwrap().parse().unwrap()
}

/// The fields that a write should have beside an entry's endpoints: resolution and hosts are the operator's.
pub(crate) fn written() -> Value {
    json!({"location": "MESH_INTERNAL", "ports": [{"name": "http", "number": 8080, "protocol": "HTTP"}]})
}

/// The fields that an entry should have beside its endpoints.
pub(crate) fn spec(name: &str) -> Value {
    let mut spec = written();
    spec["hosts"] = json!([format!("dev.{name}.polaris")]);
    spec["resolution"] = json!("STATIC");
    spec
}

/// The fields that an entry has, or is given, beside its endpoints.
pub(crate) fn rest(entry: &Value) -> Value {
    let mut spec = entry["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("endpoints");
    }
    spec
}

/// The service that an entry is bound to.
pub(crate) fn service_of(name: &str) -> &str {
    if name == LATE { MARKED } else { name }
}
