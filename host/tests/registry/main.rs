//! The registry's side against recorded answers, a faulty server and a real directory. Nothing here sleeps for a fixed time:
//! each test waits for a condition, with a deadline.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod address;
mod decode;
mod directory;
mod failures;
mod fake;
mod follow;
mod follower;
mod slow;
mod wild;

use polaris2istio::registry::ServiceKey;

/// A recorded answer's body.
fn recorded(name: &str) -> String {
    fixture(&format!("{name}.json"))
}

/// A file of the recorded answers.
fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/polaris/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// An answer that lists instances of `shop/<name>`, given as (id, host).
fn listed(name: &str, revision: &str, instances: &[(&str, &str)]) -> String {
    let instances: Vec<_> = instances
        .iter()
        .map(|(id, host)| serde_json::json!({"id": id, "host": host, "port": 80, "weight": 100, "healthy": true}))
        .collect();
    let service = serde_json::json!({"namespace": "shop", "name": name, "revision": revision});
    serde_json::json!({"code": 200_000, "type": "INSTANCE", "service": service, "instances": instances}).to_string()
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("shop", name)
}
