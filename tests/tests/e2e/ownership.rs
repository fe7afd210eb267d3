//! The fields of an entry that are ours, and those that are not.

use polaris2istio_tests::servers::Instance;
use serde_json::{Value, json};

use super::entry::{Entry, addresses, annotation, ports};
use super::world::{World, kubectl, writes};

/// All that an operator may write on an entry, and that is none of ours.
fn rich(world: &World, name: &str) -> Entry {
    world.entry(name).with(&json!({
        "metadata": {
            "labels": {"team": "shop"},
            "annotations": {"note": "by hand"},
            "finalizers": ["example.com/keep"],
        },
        "spec": {
            "hosts": [format!("dev.{name}.polaris"), format!("{name}.example.com")],
            "exportTo": ["."],
            "subjectAltNames": ["spiffe://cluster.local/ns/shop/sa/cart"],
            "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}],
        },
    }))
}

/// Checks that everything an operator wrote is still there.
#[track_caller]
fn check_kept(written: &Value, live: &Value, path: &str) {
    match written {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| check_kept(value, &live[key], &format!("{path}.{key}")));
        }
        value => assert_eq!(live, value, "{path}"),
    }
}

/// Applies an entry in one of the operators' ways, lets the service change, and applies the same file again.
async fn check_operator(how: &str, arguments: &[&str]) {
    let Some((world, api)) = World::shared(how).await else { return };
    let _controller = world.controller().start();
    world.register("cart", &["10.0.0.1"]).await;
    let file = rich(&world, "cart");
    let apply = || kubectl(api, arguments, &file);
    apply().await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    for host in ["10.0.0.2", "10.0.0.3"] {
        world.register("cart", &[host]).await;
        let there = |entry: &Value| addresses(entry).contains(&host);
        let live = world.until("the instance is there", "cart", there).await;
        check_kept(&file.0, &live, "");
        let again = apply().await;
        check_kept(&file.0, &world.get("cart").await.unwrap(), "");
        assert!(["unchanged", "serverside-applied"].iter().any(|word| again.contains(word)), "{how}: {again}");
    }
    let all = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    let live = world.endpoints("cart", &all).await;
    assert_eq!(live["spec"]["endpoints"][0]["ports"], json!({"http": 8080}));
    // A new version of the file arrives, and ours stays.
    let other = file.with(&json!({"metadata": {"annotations": {"note": null}}, "spec": {"exportTo": ["*"]}}));
    kubectl(api, arguments, &other).await;
    let live = world.endpoints("cart", &all).await;
    check_kept(&other.0, &live, "");
    assert_eq!(annotation(&live, "note"), None);
    assert!(annotation(&live, "aeraki.net/revision").is_some());
    assert_eq!(writes(api, &world.namespace).await.len(), 3, "an operator's apply is no reason to write");
}

#[tokio::test]
async fn what_is_applied_client_side_stays() {
    check_operator("client-side", &["apply", "-f", "-"]).await;
}

#[tokio::test]
async fn what_is_applied_server_side_stays() {
    check_operator("server-side", &["apply", "--server-side", "-f", "-"]).await;
}

#[tokio::test]
async fn addresses_of_others_stay() {
    let Some((world, _)) = World::shared("vip").await else { return };
    let _controller = world.controller().flag("empty-hold", "0s").start();
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    world.create(&world.entry("early").annotated("aeraki.net/polarisService", "cart")).await;
    let status = json!({"addresses": [{"host": "dev.cart.polaris", "value": "240.240.0.9"}]});
    let spec = json!({"spec": {"addresses": ["240.240.0.7"]}});
    world.patch("early", "aeraki", &spec).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    world.patch("cart", "aeraki", &spec).await;
    world.patch_status("cart", &status).await;
    let steps: [(&[&str], &[&str], &[&str]); 4] = [
        (&["10.0.0.2"], &[], &["10.0.0.1", "10.0.0.2"]),
        (&[], &["10.0.0.1"], &["10.0.0.2"]),
        (&[], &["10.0.0.2"], &[]),
        (&["10.0.0.3"], &[], &["10.0.0.3"]),
    ];
    for (come, go, expected) in steps {
        world.register("cart", come).await;
        world.deregister("cart", go).await;
        for name in ["cart", "early"] {
            let live = world.endpoints(name, expected).await;
            assert_eq!(live["spec"]["addresses"], json!(["240.240.0.7"]), "{name} with {expected:?}");
        }
        assert_eq!(world.get("cart").await.unwrap()["status"], status, "with {expected:?}");
    }
}

#[tokio::test]
async fn drift_is_put_back() {
    let Some((world, api)) = World::shared("drift").await else { return };
    let controller = world.controller().start();
    world.register("cart", &["10.0.0.1", "10.0.0.2"]).await;
    world.create(&world.entry("cart")).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    let edit = json!({"spec": {"endpoints": [{"address": "10.9.9.9"}]}});
    for _ in 0..3 {
        world.patch("cart", "kubectl-edit", &edit).await;
        world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    }
    controller.says(&["WARN", "endpoints flap", "kubectl-edit"]).await;
    assert_eq!(controller.said(&["endpoints flap"]), 1);
    // By an apply that takes the field from us.
    let file = world.entry("cart").with(&edit);
    kubectl(api, &["apply", "--server-side", "--force-conflicts", "--field-manager=rival", "-f", "-"], &file).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    controller.says(&["WARN", "endpoints flap", "rival"]).await;
    assert_eq!(writes(api, &world.namespace).await.len(), 5);
}

#[tokio::test]
async fn derived_ports_are_kept() {
    let Some((world, _)) = World::shared("kept-ports").await else { return };
    let _controller = world.controller().flag("empty-hold", "0s").start();
    let grpc = |port| Instance::new(&world.namespace, "cart", "10.0.0.2", port).protocol("grpc");
    world.admin.register(&grpc(9_090)).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let live = world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    let both = ["grpc 9090 GRPC", "http 8080 HTTP"];
    assert_eq!(ports(&live), both);
    world.admin.deregister(&grpc(9_090)).await;
    world.admin.pull(&world.namespace).await;
    assert_eq!(ports(&world.endpoints("cart", &["10.0.0.1"]).await), both);
    world.deregister("cart", &["10.0.0.1"]).await;
    assert_eq!(ports(&world.endpoints("cart", &[]).await), both);
    // Others come on another port: the service's stays, and theirs is told by the endpoint.
    world.admin.register(&grpc(7_070)).await;
    world.admin.pull(&world.namespace).await;
    let live = world.endpoints("cart", &["10.0.0.2"]).await;
    assert_eq!(ports(&live), both);
    assert_eq!(live["spec"]["endpoints"][0]["ports"], json!({"grpc": 7_070}));
}

/// Lets an operator list a port, by a client-side apply, on an entry whose ports we derived: it replaces the whole list.
async fn check_later_port(name: &str, number: u32, expected: &[&str], served: &[&str]) {
    let Some((world, api)) = World::shared(name).await else { return };
    let controller = world.controller().start();
    world.register("cart", &["10.0.0.1"]).await;
    let grpc = Instance::new(&world.namespace, "cart", "10.0.0.2", 9_090);
    world.admin.register(&grpc.protocol("grpc")).await;
    let file = world.entry("cart");
    kubectl(api, &["apply", "-f", "-"], &file).await;
    let live = world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    assert_eq!(ports(&live), ["grpc 9090 GRPC", "http 8080 HTTP"]);
    let declared = json!([{"name": "http", "number": number, "protocol": "HTTP"}]);
    let file = file.with(&json!({"spec": {"ports": declared}}));
    for _ in 0..2 {
        kubectl(api, &["apply", "-f", "-"], &file).await;
        let fits = |entry: &Value| ports(entry) == expected && endpoint_ports_fit(entry);
        world.until("the ports are as they should be", "cart", fits).await;
    }
    // A later change is accepted too, with the ports owned by both.
    world.register("cart", &["10.0.0.3"]).await;
    let live = world.endpoints("cart", served).await;
    assert_eq!(ports(&live), expected);
    assert_eq!(controller.said(&["ERROR"]), 0, "{:#?}", controller.log());
}

/// From then on his ports are the truth, and none of them is for gRPC.
#[tokio::test]
async fn a_port_that_an_operator_declares_later_counts() {
    check_later_port("later-port", 80, &["http 80 HTTP"], &["10.0.0.1", "10.0.0.3"]).await;
}

/// A file that says of a port what it is anyway changes nothing, and takes nothing over.
#[tokio::test]
async fn derived_ports_come_back() {
    let both = ["grpc 9090 GRPC", "http 8080 HTTP"];
    check_later_port("same-port", 8_080, &both, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;
}

/// Whether endpoints name service ports only.
fn endpoint_ports_fit(entry: &Value) -> bool {
    let names: Vec<_> = entry["spec"]["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
    let endpoints = entry["spec"]["endpoints"].as_array().unwrap();
    let mut used = endpoints.iter().flat_map(|endpoint| endpoint["ports"].as_object().unwrap().keys());
    !endpoints.is_empty() && used.all(|name| names.iter().any(|known| *known == name))
}
