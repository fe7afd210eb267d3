//! The rights that documentation and manifests give a controller: the tests run with these and no others.

use polaris2istio_tests::servers::ApiServer;
use serde_json::{Value, json};

/// A right of a user: group, resources, verbs.
pub(crate) type Right = (&'static str, &'static [&'static str], &'static [&'static str]);

/// The rights that every controller needs.
pub(crate) const ENTRIES: Right = ("networking.istio.io", &["serviceentries"], &["list", "watch", "patch"]);
/// The right to write Events.
pub(crate) const EVENTS: Right = ("events.k8s.io", &["events"], &["create", "patch"]);
/// The rights that names need besides.
pub(crate) const SERVICES: Right = ("", &["services"], KEEP);
/// The rights that names need besides.
pub(crate) const SLICES: Right = ("discovery.k8s.io", &["endpointslices"], KEEP);
/// The right that the repair of virtual IPs needs besides.
pub(crate) const STATUS: Right = ("networking.istio.io", &["serviceentries/status"], &["patch"]);

/// The rights that policies need besides: on themselves, on their status, and on the entries that they make.
pub(crate) const POLICIES: [Right; 3] = [
    ("polaris2istio.aeraki.net", &["polarisimports"], &["list", "watch", "patch"]),
    ("polaris2istio.aeraki.net", &["polarisimports/status"], &["patch"]),
    ("networking.istio.io", &["serviceentries"], &["create", "delete"]),
];

const KEEP: &[&str] = &["list", "watch", "get", "create", "patch", "delete"];

/// Gives the user `limited` rights in a namespace.
pub(crate) async fn grant(api: &ApiServer, namespace: &str, rights: &[Right]) {
    let rules: Vec<Value> = rights
        .iter()
        .map(|(group, resources, verbs)| json!({"apiGroups": [group], "resources": resources, "verbs": verbs}))
        .collect();
    let authorization = "rbac.authorization.k8s.io";
    let metadata = json!({"name": "polaris2istio", "namespace": namespace});
    let role =
        json!({"apiVersion": format!("{authorization}/v1"), "kind": "Role", "metadata": metadata, "rules": rules});
    let binding = json!({
        "apiVersion": format!("{authorization}/v1"), "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": authorization, "kind": "Role", "name": "polaris2istio"},
        "subjects": [{"apiGroup": authorization, "kind": "User", "name": "limited"}],
    });
    for object in [role, binding] {
        api.kubectl(&["apply", "--filename=-"], &object.to_string()).await;
    }
}
