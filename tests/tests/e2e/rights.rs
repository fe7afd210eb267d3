//! The rights that the manifests give are enough, since every test here runs with them, and none is spare.

use polaris2istio_tests::servers::{self, ApiServer, ApiServerOptions, Binaries, Manifests, Polaris, Release};
use serde_json::{Value, json};

use super::world::{World, by_controller};

/// One verb on one resource, as `namespace resource verb`, where the namespace is `entries` or `own`.
type Right = String;

/// Everything that the shipped Roles allow.
fn rights(binaries: &Binaries) -> Vec<Right> {
    let manifests = Manifests::kustomize(binaries, "base").moved("own", "entries");
    let roles: Vec<_> = manifests.of_kind("Role").collect();
    let mut rights: Vec<_> = roles.iter().flat_map(|role| rights_of(role)).collect();
    rights.sort_unstable();
    rights
}

fn rights_of(role: &Value) -> Vec<Right> {
    let namespace = role["metadata"]["namespace"].as_str().unwrap();
    let texts =
        |value: &Value| value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        let (resources, verbs): (Vec<_>, Vec<_>) = (texts(&rule["resources"]), texts(&rule["verbs"]));
        for resource in &resources {
            rights.extend(verbs.iter().map(|verb| format!("{namespace} {resource} {verb}")));
        }
    }
    rights
}

/// Takes a right out of a Role.
fn take_away(role: &mut Value, entries: &str, right: &str) {
    let [namespace, resource, verb] = right.split(' ').collect::<Vec<_>>()[..] else { panic!("{right}") };
    let there = role["metadata"]["namespace"] == *entries;
    if role["kind"] != "Role" || there != (namespace == "entries") {
        return;
    }
    for rule in role["rules"].as_array_mut().unwrap() {
        if rule["resources"].as_array().unwrap().iter().any(|named| named == resource) {
            rule["verbs"].as_array_mut().unwrap().retain(|named| named != verb);
        }
    }
}

/// What is lost without a right: the words that the log then has.
const NEEDED: [(&str, &[&str]); 3] = [
    ("entries serviceentries list", &["WARN", "403", "cannot list resource"]),
    ("entries serviceentries patch", &["WARN", "/cart", "403", "grant this identity the verb patch"]),
    ("entries serviceentries watch", &["WARN", "403", "cannot watch resource"]),
];

#[tokio::test]
async fn no_right_is_spare() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let needed: Vec<_> = NEEDED.iter().map(|(right, _)| (*right).to_owned()).collect();
    assert_eq!(rights(binaries), needed, "each right of the Roles has a proof here that it is needed");
    let older = ApiServer::start_with(binaries, ApiServerOptions { no_streamed_lists: true }).await;
    for (right, words) in NEEDED {
        let api = if right.ends_with(" list") { &older } else { &servers.api };
        check_needed(api, &servers.polaris, binaries, right, words).await;
    }
}

/// Without the right the entry is not served, and with it, it is.
async fn check_needed(api: &ApiServer, polaris: &Polaris, binaries: &Binaries, right: &str, words: &[&str]) {
    let world = World::new(api, polaris, &right.split(' ').skip(1).collect::<Vec<_>>().join("-")).await;
    let entries = world.namespace.clone();
    Release::install_with(api, binaries, &entries, |object| take_away(object, &entries, right)).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let controller = world.controller().start();
    controller.says(words).await;
    world.endpoints("cart", &[]).await;
    Release::install(api, binaries, &entries).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
}

/// The other verbs, the other resources and the other namespaces: nothing of them is the controller's.
#[tokio::test]
async fn nothing_else_is_allowed() {
    let Some((world, api)) = World::shared("else").await else { return };
    let ask = async |namespace: &str, group: &str, resource: &str, verb: &str| {
        let user = format!("system:serviceaccount:{}:polaris2istio", world.release.namespace);
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": {"namespace": namespace, "group": group, "resource": resource, "verb": verb},
            },
        });
        let answer = api.kubectl(&["create", "-o", "json", "-f", "-"], &review.to_string()).await;
        serde_json::from_str::<Value>(&answer).unwrap()["status"]["allowed"] == true
    };
    let (entries, own) = (&*world.namespace, &*world.release.namespace);
    let istio = "networking.istio.io";
    assert!(ask(entries, istio, "serviceentries", "patch").await);
    let cases = [
        (entries, istio, "serviceentries", "create"),
        (entries, istio, "serviceentries", "update"),
        (entries, istio, "serviceentries", "delete"),
        (entries, istio, "serviceentries", "deletecollection"),
        (entries, istio, "serviceentries/status", "patch"),
        (entries, istio, "virtualservices", "watch"),
        (entries, "", "secrets", "get"),
        (own, "", "secrets", "get"),
        (own, istio, "serviceentries", "watch"),
        ("default", istio, "serviceentries", "watch"),
        ("", istio, "serviceentries", "watch"),
    ];
    for (namespace, group, resource, verb) in cases {
        assert!(!ask(namespace, group, resource, verb).await, "{verb} {resource}.{group} in `{namespace}`");
    }
}

/// That the suite proves what it says: it is the ServiceAccount that writes.
#[tokio::test]
async fn the_controller_writes_as_its_own_account() {
    let Some((world, api)) = World::shared("account").await else { return };
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let _controller = world.controller().start();
    world.endpoints("cart", &["10.0.0.1"]).await;
    let writes = api.writes(&world.namespace).await;
    let users: Vec<_> = writes.iter().filter(|write| by_controller(write)).map(|write| &*write.user).collect();
    assert_eq!(users, [format!("system:serviceaccount:{}:polaris2istio", world.release.namespace)]);
}
