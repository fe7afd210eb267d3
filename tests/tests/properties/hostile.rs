//! Answers and entries as they should never be written, and yet will be.

use proptest::prelude::*;
use serde_json::{Value, json};

/// An answer that can be decoded: of the right shape, with whatever values the registry lets through.
pub(crate) fn answer() -> impl Strategy<Value = Value> {
    prop::collection::vec(instance(), 0..12).prop_map(|instances| {
        let numbered = (0..).zip(instances).map(|(number, mut instance): (u32, Value)| {
            instance["id"] = json!(format!("{number:040x}"));
            instance
        });
        json!({"code": 200_000, "info": null, "type": "INSTANCE",
               "service": {"namespace": "default", "name": "reviews", "revision": "r1", "metadata": null},
               "instances": numbered.collect::<Vec<_>>(), "somethingNew": {"a": [1]}})
    })
}

fn instance() -> impl Strategy<Value = Value> {
    let location = (text(), text(), text())
        .prop_map(|(region, zone, campus)| json!({"region": region, "zone": zone, "campus": campus}));
    let metadata = prop::collection::btree_map(key(), text(), 0..4).prop_map(|map| json!(map));
    let port = prop_oneof![1_u32..10, prop::sample::select(&[0, 65535, 70000, 8080][..])];
    (
        host(),
        port,
        protocol(),
        prop_oneof![Just(json!(null)), Just(json!(0)), (1_u32..=65535).prop_map(|weight| json!(weight))],
        prop_oneof![3 => Just(json!(true)), 1 => Just(json!(false)), 1 => Just(json!(null))],
        prop_oneof![5 => Just(json!(false)), 1 => Just(json!(true)), 1 => Just(json!(null))],
        prop_oneof![Just(json!(null)), location],
        prop_oneof![Just(json!(null)), metadata],
        prop_oneof![Just(json!(null)), text().prop_map(Value::from)],
    )
        .prop_map(|(host, port, protocol, weight, healthy, isolate, location, metadata, version)| {
            json!({"host": host, "port": port, "protocol": protocol, "weight": weight, "healthy": healthy, "isolate": isolate,
                   "location": location, "metadata": metadata, "version": version, "healthCheck": {"type": "SOMETHING_NEW"}})
        })
}

fn host() -> impl Strategy<Value = String> {
    let odd = [
        "not valid",
        "::1",
        "127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "01.2.3.4",
        "10.0.0.0/8",
        "FD00::A",
        "fe80::1",
        "a_b.c",
        "x.example.com",
        "1.2.3",
    ];
    prop_oneof![6 => (1_u8..6).prop_map(|last| format!("10.0.0.{last}")), 3 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned), 1 => "\\PC{1,40}"]
}

fn protocol() -> impl Strategy<Value = Value> {
    let known = [
        "",
        "http",
        "HTTP2",
        "grpc",
        "gRPC-web",
        "dubbo",
        "thrift",
        "metaprotocol-x",
        "web/TCP",
        "quic",
        "service-grpc",
        "tls",
    ];
    prop_oneof![1 => Just(json!(null)), 6 => prop::sample::select(known.to_vec()).prop_map(|name| json!(name)), 1 => "\\PC{0,80}".prop_map(Value::from)]
}

fn key() -> impl Strategy<Value = String> {
    let known = [
        "version",
        "env",
        "internal-x",
        "istio-locality",
        "security.istio.io/tlsMode",
        "a/b/c",
        "app.kubernetes.io/name",
        "x_y/z",
    ];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), "\\PC{1,70}"]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z0-9-]{1,12}", "\\PC{0,70}", Just("a/b".to_owned())]
}

/// An entry that is served: bound to the service, with any resolution and ports that an operator may write.
pub(crate) fn entry() -> impl Strategy<Value = Value> {
    let resolution = prop::sample::select(&[None, Some("NONE"), Some("STATIC"), Some("DNS")][..]);
    let ports = [
        json!(null),
        json!([{"name": "http", "number": 80, "protocol": "HTTP"}]),
        json!([{"name": "http", "number": 80, "protocol": "HTTP", "targetPort": 8080}, {"name": "grpc", "number": 5, "protocol": "GRPC"}]),
        json!([{"name": "anything", "number": 8080, "protocol": "TCP"}]),
    ];
    let external = prop::sample::select(&[None, Some("true"), Some("false")][..]);
    let protocol = prop::sample::select(&[None, Some("grpc"), Some("tcp")][..]);
    (resolution, prop::sample::select(ports.to_vec()), external, protocol).prop_map(
        |(resolution, ports, external, protocol)| {
            let mut annotations =
                json!({"aeraki.net/polarisNamespace": "default", "aeraki.net/polarisService": "reviews"});
            let optional = [("aeraki.net/external", external), ("aeraki.net/protocol", protocol)];
            for (key, value) in optional.into_iter().filter_map(|(key, value)| Some((key, value?))) {
                annotations[key] = json!(value);
            }
            let mut spec = json!({"hosts": ["dev.reviews.polaris"]});
            if let Some(resolution) = resolution {
                spec["resolution"] = json!(resolution);
            }
            if !ports.is_null() {
                spec["ports"] = ports;
            }
            json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
               "metadata": {"name": "reviews", "namespace": "polaris", "annotations": annotations}, "spec": spec})
        },
    )
}
