//! The effect of changes of instances.

use polaris2istio_tests::servers::Instance;
use serde_json::{Value, json};

use super::entry::{addresses, ports};
use super::world::{World, writes};

#[tokio::test]
async fn instances_come_and_go() {
    let Some((world, api)) = World::shared("come-and-go").await else { return };
    let controller = world.controller().start();
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let entry = world.endpoints("cart", &["10.0.0.1"]).await;
    assert_eq!(ports(&entry), ["http 8080 HTTP"]);
    assert_eq!(entry["spec"]["location"], "MESH_INTERNAL");
    assert_eq!(entry["spec"]["endpoints"][0]["ports"], json!({"http": 8080}));
    world.register("cart", &["10.0.0.3"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.3"]).await;
    world.register("cart", &["10.0.0.2"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;
    world.deregister("cart", &["10.0.0.1"]).await;
    world.endpoints("cart", &["10.0.0.2", "10.0.0.3"]).await;
    world.register("cart", &["10.0.0.1"]).await;
    let entry = world.endpoints("cart", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;
    let writes = writes(api, &world.namespace).await;
    assert_eq!(writes.len(), 5, "one for each change: {writes:#?}");
    assert!(writes.iter().all(|write| write.verb == "patch"), "{writes:#?}");
    let logged = controller.writes();
    let figures: Vec<_> = logged.iter().map(|write| [&write["added"], &write["removed"], &write["changed"]]).collect();
    assert_eq!(json!(figures), json!([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]]), "{logged:#?}");
    let last = logged.last().unwrap();
    assert_eq!(last["entry"], format!("{}/cart", world.namespace));
    assert_eq!(last["revision"], entry["metadata"]["annotations"]["aeraki.net/revision"]);
}

/// Changes one of two instances step by step; each step is one write, and leads to the endpoint that is given, if any.
#[tokio::test]
async fn every_change_of_an_instance_shows() {
    let Some((world, api)) = World::shared("changes").await else { return };
    let controller = world.controller().start();
    world.create(&world.entry("cart")).await;
    world.register("cart", &["10.0.0.1", "10.0.0.2"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    let before = writes(api, &world.namespace).await.len();
    let instance = || world.instance("cart", "10.0.0.2");
    type Change = fn(Instance) -> Instance;
    let steps: [(&str, Change, Option<Value>); 10] = [
        ("another weight", |it| it.weight(50), Some(json!({"weight": 50}))),
        ("weight 0", |it| it.weight(0), None),
        ("weight 7", |it| it.weight(7), Some(json!({"weight": 7}))),
        ("isolated", |it| it.isolate(true), None),
        ("back again", |it| it.isolate(false), Some(json!({"weight": 7}))),
        ("unhealthy", |it| it.healthy(false), None),
        ("healthy", |it| it.healthy(true), Some(json!({"weight": 7}))),
        ("metadata", |it| it.metadata("lane", "blue"), Some(json!({"labels": {"lane": "blue"}}))),
        ("a version", |it| it.version("v2"), Some(json!({"labels": {"version": "v2"}}))),
        ("a location", |it| it.location("r1", "z1", "c1"), Some(json!({"locality": "r1/z1/c1"}))),
    ];
    let count = steps.len();
    for (step, change, expected) in steps {
        world.admin.update(&change(instance())).await;
        world.admin.pull(&world.namespace).await;
        let fits = |entry: &Value| match &expected {
            None => addresses(entry) == ["10.0.0.1"],
            Some(part) => {
                addresses(entry) == ["10.0.0.1", "10.0.0.2"] && contains(&entry["spec"]["endpoints"][1], part)
            }
        };
        world.until(step, "cart", fits).await;
    }
    let writes = writes(api, &world.namespace).await;
    assert_eq!(writes.len() - before, count, "{writes:#?}");
    assert_eq!(controller.writes().len(), writes.len());
}

/// Whether all of `part` is in a value.
fn contains(value: &Value, part: &Value) -> bool {
    match part {
        Value::Object(fields) => fields.iter().all(|(key, part)| contains(&value[key], part)),
        part => value == part,
    }
}

#[tokio::test]
async fn host_names_are_for_dns() {
    let Some((world, _)) = World::shared("host-names").await else { return };
    let controller = world.controller().start();
    let dns = world.entry("named").annotated("aeraki.net/polarisService", "cart");
    world.create(&dns.with(&json!({"spec": {"resolution": "DNS"}}))).await;
    world.create(&world.entry("cart")).await;
    world.register("cart", &["10.0.0.1", "cart.example.com"]).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    let named = world.endpoints("named", &["10.0.0.1", "cart.example.com"]).await;
    assert_eq!(named["spec"]["resolution"], "DNS");
    let entry = format!("{}/cart", world.namespace);
    controller.says(&["WARN", &entry, "instance-host-name", "cart.example.com"]).await;
    let other = format!("{}/named", world.namespace);
    assert_eq!(controller.said(&[&other, "instance-host-name"]), 0);
}

#[tokio::test]
async fn a_thousand_instances_and_back() {
    let Some((world, _)) = World::shared("thousand").await else { return };
    let _controller = world.controller().flag("removal-hold", "0s").start();
    world.create(&world.entry("cart")).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    let hosts: Vec<_> = (0..1_000).map(|number| format!("10.1.{}.{}", number / 250, number % 250 + 1)).collect();
    let instances: Vec<_> = hosts.iter().map(|host| world.instance("cart", host)).collect();
    world.admin.register_all(&instances).await;
    world.admin.pull(&world.namespace).await;
    let all = |entry: &Value| addresses(entry).len() == 1_001;
    let entry = world.until("all 1,001 endpoints are there", "cart", all).await;
    let mut distinct = addresses(&entry);
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 1_001);
    world.admin.deregister_all(&instances).await;
    world.admin.pull(&world.namespace).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
}

/// The threshold is the service's, set in the registry at any time.
#[tokio::test]
async fn a_service_protects_itself_by_its_threshold() {
    let Some((world, _)) = World::shared("threshold").await else { return };
    let controller = world.controller().start();
    let (all, healthy) = (["10.0.0.1", "10.0.0.2", "10.0.0.3"], ["10.0.0.1"]);
    world.register("cart", &all).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &all).await;
    let key = "internal-service-protectthreshold";
    world.admin.set_service_metadata(&world.namespace, "cart", key, "0.5").await;
    for host in &all[1..] {
        world.admin.update(&world.instance("cart", host).healthy(false)).await;
    }
    controller.says(&["protect-threshold", "only 1 of the 3", "0.5", "/cart"]).await;
    world.endpoints("cart", &all).await;
    world.admin.set_service_metadata(&world.namespace, "cart", key, "0.2").await;
    world.endpoints("cart", &healthy).await;
    world.admin.set_service_metadata(&world.namespace, "cart", key, "0.5").await;
    world.endpoints("cart", &all).await;
    world.admin.set_service_metadata(&world.namespace, "cart", key, "half").await;
    controller.says(&["protect-threshold-invalid", "half", "/cart"]).await;
    world.endpoints("cart", &healthy).await;
}
