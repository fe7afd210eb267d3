//! The plan by example: an entry, the managers of its fields, and the apply that follows.

use serde_json::{Value, json};

use super::*;
use crate::annotation::SOURCE;
use crate::istio::Location;

/// An entry as the API server gives it, with its managed fields.
fn entry(object: Value) -> ServiceEntry {
    let mut entry: ServiceEntry = serde_json::from_value(object).unwrap();
    entry.condense();
    entry
}

fn operator(fields: Value) -> Value {
    json!({"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": fields}})
}

fn ours(spec: Value, annotations: Value) -> Value {
    json!({"manager": "polaris2istio", "operation": "Apply",
           "fieldsV1": {"f:metadata": {"f:annotations": annotations}, "f:spec": spec}})
}

fn desired() -> Desired {
    Desired {
        resolution: Some(Resolution::Static),
        location: None,
        ports: vec![],
        endpoints: [
            serde_json::from_value(json!({"address": "10.0.0.1", "ports": {"http": 80}, "weight": 100})).unwrap()
        ]
        .into(),
        annotations: BTreeMap::from([(SOURCE.into(), "default/reviews".into())]),
        revision: "r1".into(),
    }
}

fn fresh(spec: Value, managed: Value) -> ServiceEntry {
    entry(
        json!({"metadata": {"name": "e", "namespace": "polaris", "uid": "u", "resourceVersion": "7", "managedFields": managed}, "spec": spec}),
    )
}

#[track_caller]
fn check(desired: &Desired, live: &ServiceEntry, spec: Option<Value>, fields: &[&str], contested: &[&str]) {
    let plan = plan(desired, live);
    let body = plan.apply.as_ref().map(|apply| apply.body()["spec"].clone());
    assert_eq!(body, spec, "the spec that is applied");
    let changed = plan.apply.map(|apply| apply.change.fields).unwrap_or_default();
    assert_eq!(changed, fields, "the fields that change");
    let left: Vec<_> = plan.contested.iter().map(|contested| contested.field.as_str()).collect();
    assert_eq!(left, contested, "the fields that are left to others");
}

const REVISED: &str = "metadata.annotations[aeraki.net/revision]";
const SOURCED: &str = "metadata.annotations[polaris2istio.aeraki.net/source]";

#[test]
fn leaves_the_operators_resolution_and_ports_out() {
    let live = fresh(
        json!({"resolution": "STATIC", "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}]}),
        json!([operator(json!({"f:resolution": {}, "f:ports": {"k:{\"name\":\"http\"}": {}}}))]),
    );
    let endpoints = json!([{"address": "10.0.0.1", "ports": {"http": 80}, "weight": 100}]);
    check(&desired(), &live, Some(json!({"endpoints": endpoints})), &["spec.endpoints", SOURCED, REVISED], &[]);
    let apply = plan(&desired(), &live).apply.unwrap();
    assert_eq!(apply.body()["metadata"]["uid"], "u");
    assert_eq!(apply.body()["metadata"]["resourceVersion"], "7");
}

#[test]
fn takes_a_placeholder_resolution_from_its_operator() {
    for spec in [json!({"resolution": "NONE"}), json!({})] {
        let live = fresh(spec, json!([operator(json!({"f:resolution": {}}))]));
        let body = plan(&desired(), &live).apply.unwrap().body();
        assert_eq!(body["spec"]["resolution"], "STATIC");
    }
}

#[test]
fn sends_no_endpoints_beside_none() {
    let live = fresh(json!({"resolution": "NONE"}), json!([operator(json!({"f:resolution": {}}))]));
    let empty = Desired { resolution: Some(Resolution::None), endpoints: [].into(), ..desired() };
    let body = plan(&empty, &live).apply.unwrap().body();
    assert_eq!(body.get("spec"), None);
}

#[test]
fn says_nothing_when_the_entry_holds_it() {
    let live = entry(json!({
        "metadata": {"name": "e", "namespace": "polaris",
            "annotations": {REVISION: "another", SOURCE: "default/reviews"},
            "managedFields": [ours(json!({"f:endpoints": {}, "f:resolution": {}}), json!({"f:aeraki.net/revision": {}, "f:polaris2istio.aeraki.net/source": {}}))]},
        "spec": {"resolution": "STATIC", "endpoints": [{"address": "10.0.0.1", "ports": {"http": 80}, "weight": 100}]},
    }));
    check(&desired(), &live, None, &[], &[]);
}

#[test]
fn leaves_a_contested_location_alone_and_says_so() {
    let live = fresh(
        json!({"resolution": "STATIC", "location": "MESH_EXTERNAL"}),
        json!([operator(json!({"f:location": {}}))]),
    );
    let wanted = Desired { location: Some(Location::MeshInternal), ..desired() };
    let plan = plan(&wanted, &live);
    assert_eq!(plan.contested, [Contested { field: "spec.location".into(), manager: "kubectl".into() }]);
    assert_eq!(plan.apply.unwrap().body()["spec"].get("location"), None);
}

#[test]
fn gives_up_a_location_that_is_no_longer_ours_to_say() {
    let mut live = fresh(
        json!({"resolution": "STATIC", "location": "MESH_EXTERNAL"}),
        json!([ours(json!({"f:location": {}}), json!({}))]),
    );
    let fields = plan(&desired(), &live).apply.unwrap().change.fields;
    assert!(fields.contains(&"spec.location".to_owned()), "{fields:?}");
    live.ownership = Default::default();
    let fields = plan(&desired(), &live).apply.unwrap().change.fields;
    assert!(!fields.contains(&"spec.location".to_owned()), "{fields:?}");
}

#[test]
fn drops_a_derived_port_that_is_not_wanted_any_more() {
    let live = fresh(
        json!({"resolution": "STATIC", "ports": [{"name": "tcp", "number": 9, "protocol": "TCP"}]}),
        json!([ours(json!({"f:ports": {"k:{\"name\":\"tcp\"}": {}}}), json!({}))]),
    );
    let wanted = Desired {
        ports: vec![Port { name: "http".into(), number: 80, protocol: "HTTP".into(), target_port: None }],
        ..desired()
    };
    let apply = plan(&wanted, &live).apply.unwrap();
    assert_eq!(apply.body()["spec"]["ports"], json!([{"name": "http", "number": 80, "protocol": "HTTP"}]));
    assert!(apply.change.fields.contains(&"spec.ports[tcp]".to_owned()));
}

#[test]
fn counts_endpoints_that_come_go_and_change() {
    let endpoints = |list: Value| -> Vec<crate::istio::Endpoint> { serde_json::from_value(list).unwrap() };
    let before =
        endpoints(json!([{"address": "10.0.0.1", "weight": 1}, {"address": "10.0.0.2"}, {"address": "10.0.0.3"}]));
    let after =
        endpoints(json!([{"address": "10.0.0.1", "weight": 2}, {"address": "10.0.0.3"}, {"address": "10.0.0.4"}]));
    let change = Change::of_endpoints(&before, &after);
    assert_eq!((change.added, change.removed, change.changed), (1, 1, 1));
}

/// A client-side apply that only changes a number claims nothing else of a port that we derived.
#[test]
fn keeps_the_name_of_a_port_that_another_took_in_part() {
    let port = json!({"name": "http", "number": 81, "protocol": "HTTP"});
    let managed = |part: Value| {
        json!([
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {"k:{\"name\":\"http\"}": part}}}},
            ours(json!({"f:ports": {"k:{\"name\":\"http\"}": {".": {}, "f:name": {}, "f:protocol": {}}}}), json!({})),
        ])
    };
    for (part, kept) in [(json!({"f:number": {}}), true), (json!({".": {}, "f:name": {}, "f:number": {}}), false)] {
        let live = fresh(json!({"resolution": "STATIC", "ports": [port]}), managed(part));
        let spec = plan(&desired(), &live).apply.unwrap().body()["spec"].clone();
        assert_eq!(spec.get("ports"), kept.then(|| json!([port])).as_ref());
    }
}
