//! The rights that the manifests give are enough, since every test here runs with them, and none is spare.

use polaris2istio_tests::servers::{self, ApiServer, ApiServerOptions, Binaries, Manifests, Polaris, Release};
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::SOON;
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
    let rules = role["rules"].as_array_mut().unwrap();
    for rule in rules.iter_mut() {
        if rule["resources"].as_array().unwrap().iter().any(|named| named == resource) {
            rule["verbs"].as_array_mut().unwrap().retain(|named| named != verb);
        }
    }
    // The API server takes no rule without a verb.
    rules.retain(|rule| rule["verbs"].as_array().is_some_and(|verbs| !verbs.is_empty()));
}

/// A right, what is lost without it, and the words that the log then has.
const NEEDED: [(&str, Loss, &[&str]); 14] = [
    ("entries events create", Loss::Events, &["WARN", "Events cannot be written", "cannot create resource"]),
    ("entries events patch", Loss::Events, &["WARN", "Events cannot be written", "cannot patch resource"]),
    ("entries serviceentries list", Loss::Service, &["WARN", "403", "cannot list resource"]),
    ("entries serviceentries patch", Loss::Service, &["WARN", "/cart", "403", "grant this identity the verb patch"]),
    ("entries serviceentries watch", Loss::Service, &["WARN", "403", "cannot watch resource"]),
    ("own configmaps create", Loss::Service, &["WARN", "waiting for the shared state", "cannot create resource"]),
    ("own configmaps get", Loss::Service, &["WARN", "waiting for the shared state", "cannot get resource"]),
    ("own configmaps list", Loss::Followed, &["WARN", "shared state cannot be followed", "cannot list resource"]),
    ("own configmaps update", Loss::Service, &["WARN", "waiting for the shared state", "cannot update resource"]),
    ("own configmaps watch", Loss::Followed, &["WARN", "shared state cannot be followed", "cannot watch resource"]),
    ("own events create", Loss::Commands, &["WARN", "Events cannot be written", "cannot create resource"]),
    ("own leases create", Loss::Service, &["ERROR", "the lease cannot be used", "cannot create resource"]),
    ("own leases get", Loss::Service, &["ERROR", "the lease cannot be used", "cannot get resource"]),
    ("own leases update", Loss::Service, &["ERROR", "the lease cannot be used", "cannot update resource"]),
];

/// The cost of a missing right.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    /// Entries are not served.
    Service,
    /// Decisions of other replicas are not received.
    Followed,
    /// Messages for an entry's owner stand in the log alone.
    Events,
    /// Who gave a command stands in the log and the history alone.
    Commands,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_right_is_spare() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let needed: Vec<_> = NEEDED.iter().map(|(right, ..)| (*right).to_owned()).collect();
    assert_eq!(rights(binaries), needed, "each right of the Roles has a proof here that it is needed");
    let older = ApiServer::start_with(binaries, ApiServerOptions { no_streamed_lists: true }).await;
    let checks = NEEDED.map(|(right, loss, words)| {
        let api = if right == "entries serviceentries list" { &older } else { &servers.api };
        check_needed(api, &servers.polaris, binaries, right, loss, words)
    });
    futures::future::join_all(checks).await;
}

/// Without the right the log says so and something is lost, and with it nothing is.
async fn check_needed(
    api: &ApiServer,
    polaris: &Polaris,
    binaries: &Binaries,
    right: &str,
    loss: Loss,
    words: &[&str],
) {
    let world = World::new(api, polaris, &right.split(' ').skip(1).collect::<Vec<_>>().join("-")).await;
    let entries = world.namespace.clone();
    Release::install_with(api, binaries, &entries, |object| take_away(object, &entries, right)).await;
    if right.ends_with(" update") {
        // An object that exists already is not created.
        for kind in [("v1", "ConfigMap", "polaris2istio-state"), ("coordination.k8s.io/v1", "Lease", "polaris2istio")] {
            let metadata = json!({"name": kind.2, "namespace": world.release.namespace});
            api.apply(&[json!({"apiVersion": kind.0, "kind": kind.1, "metadata": metadata})], false).await;
        }
    }
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let controller = world.controller().flag("leader-election", "true").socket().start();
    match loss {
        Loss::Commands => {
            world.endpoints("cart", &["10.0.0.1"]).await;
            controller.verb(&["pause", "--reason", "maintenance"]);
            controller.says(words).await;
            controller.verb(&["resume"]);
        }
        Loss::Service => {
            controller.says(words).await;
            world.endpoints("cart", &[]).await;
        }
        Loss::Followed => controller.says(words).await,
        Loss::Events => {
            world.endpoints("cart", &["10.0.0.1"]).await;
            // A repeated Event is a patch of the first.
            for (times, (external, location)) in (1..).zip([("true", "MESH_EXTERNAL"), ("false", "MESH_INTERNAL")]) {
                annotate(&world, "maybe").await;
                wait_for("the bad annotation is told", SOON, || async {
                    let said = controller.said(&["/cart", "aeraki.net/external"]);
                    if said >= times { Ok(()) } else { Err(said) }
                })
                .await;
                annotate(&world, external).await;
                world.until(location, "cart", |entry| entry["spec"]["location"] == location).await;
            }
            controller.says(words).await;
        }
    }
    Release::install(api, binaries, &entries).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
}

async fn annotate(world: &World, external: &str) {
    let patch = json!({"metadata": {"annotations": {"aeraki.net/external": external}}});
    world.patch("cart", "operator", &patch).await;
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
