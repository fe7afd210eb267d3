//! Endpoints with ports, and the places at which they are put back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::guard::{Decision, Fleet, Guard, GuardInput, Kind, Origins, Settings};
use crate::istio::ServiceEntry;
use crate::plan::Desired;
use crate::registry::Content;

fn entry(ports: Value, endpoints: &Value) -> ServiceEntry {
    let spec = json!({"resolution": "STATIC", "ports": ports, "endpoints": endpoints});
    serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap()
}

fn ports(names: &[&str]) -> Value {
    (80..).zip(names).map(|(number, name)| json!({"name": name, "number": number, "protocol": "HTTP"})).collect()
}

/// An empty service; the entry has `live` and the module gives `given`.
fn decide(live: &ServiceEntry, given: &ServiceEntry, instances: Value) -> (Desired, Decision) {
    let mut desired = Desired {
        resolution: given.spec.resolution,
        location: None,
        ports: given.spec.ports.clone(),
        endpoints: given.spec.endpoints.clone().into(),
        annotations: Default::default(),
        revision: String::new(),
    };
    let answer = json!({"code": 200000, "service": {"namespace": "ns", "name": "s"}, "instances": instances});
    let answer = crate::registry::decode_answer(answer.to_string().as_bytes(), "test").unwrap();
    let fleet = Fleet::new("100%".parse().unwrap());
    let input = GuardInput {
        live,
        service: "ns/s",
        content: &answer.content,
        origins: Default::default(),
        answers: 1,
        is_answered: true,
        settings: Settings::default(),
        excluded: &[],
        addresses: &Default::default(),
        release: None,
        promotion: 0,
        module: 0,
        restored: false,
        writable: true,
        now: Instant::now(),
    };
    let decision = Guard::default().decide(&mut desired, &input, &fleet);
    (desired, decision)
}

#[test]
fn a_held_entry_is_as_it_was_to_the_letter() {
    let endpoints = json!([
        {"address": "10.0.0.9", "ports": {"a": 1, "b": 2}, "weight": 3, "labels": {"x": "y"}, "locality": "r/z", "network": "n"},
        {"address": "10.0.0.1", "ports": {"a": 1}},
        {"address": "10.0.0.5"},
    ]);
    let live = entry(ports(&["a", "b"]), &endpoints);
    let (desired, decision) = decide(&live, &entry(ports(&["a", "b"]), &json!([])), json!([]));
    assert_eq!(desired.endpoints[..], live.spec.endpoints[..]);
    assert_eq!(decision.holds[0].endpoints, 4);
    assert_eq!(decision.requeue_after, Some(Duration::from_secs(300)));
}

#[test]
fn a_module_that_gives_no_ports_and_no_resolution_takes_nothing_from_what_is_held() {
    let live = entry(ports(&["a"]), &json!([{"address": "10.0.0.1", "ports": {"a": 1}}]));
    let mut given = entry(json!([]), &json!([]));
    given.spec.resolution = Some(crate::istio::Resolution::None);
    let (desired, decision) = decide(&live, &given, json!([]));
    assert_eq!(desired.endpoints[..], live.spec.endpoints[..]);
    assert_eq!((desired.ports.as_slice(), desired.resolution), (live.spec.ports.as_slice(), None));
    assert_eq!(decision.misfits, 0);
}

#[test]
fn what_does_not_fit_the_entry_any_more_is_let_go() {
    let endpoints = json!([{"address": "10.0.0.1", "ports": {"old": 1}}, {"address": "10.0.0.2", "ports": {"a": 1}},
                           {"address": "name.example", "ports": {"a": 1}}, {"address": "127.0.0.1", "ports": {"a": 1}}]);
    let live = entry(ports(&["a"]), &endpoints);
    let (desired, decision) = decide(&live, &entry(ports(&["a"]), &json!([])), json!([]));
    let found: Vec<_> = desired.endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect();
    assert_eq!((found.as_slice(), decision.misfits, decision.holds[0].endpoints), (["10.0.0.2"].as_slice(), 3, 1));
}

#[test]
fn an_endpoint_that_loses_one_of_its_ports_gets_it_back() {
    let two = |last: u32| json!({"address": format!("10.0.0.{last}"), "ports": {"a": 1, "b": 2}, "weight": 1});
    let one = |last: u32| json!({"address": format!("10.0.0.{last}"), "ports": {"b": 2}, "weight": 1});
    let live = entry(ports(&["a", "b"]), &json!([two(1), two(2), two(3)]));
    // Of six endpoint ports the three `a` and one `b` vanish: more than half.
    let given = entry(ports(&["a", "b"]), &json!([one(1), one(3)]));
    let instances: Vec<_> = [1, 3].map(|last| json!({"id": "x", "host": format!("10.0.0.{last}"), "port": 2})).into();
    let (desired, decision) = decide(&live, &given, json!(instances));
    assert_eq!(desired.endpoints[..], live.spec.endpoints[..]);
    assert_eq!(decision.holds[0].endpoints, 4);
}

#[test]
fn another_port_at_a_held_address_stands_beside_it() {
    let at = |port: u32| json!({"address": "10.0.0.1", "ports": {"a": port}, "weight": 1});
    let live = entry(ports(&["a"]), &json!([at(1), at(2), at(3), at(4)]));
    let (desired, _) =
        decide(&live, &entry(ports(&["a"]), &json!([at(5)])), json!([{"id": "x", "host": "10.0.0.1", "port": 5}]));
    let ports: Vec<_> =
        desired.endpoints.iter().flat_map(|endpoint| endpoint.ports.iter().map(|(_, port)| *port)).collect();
    assert_eq!(ports, [1, 2, 3, 4, 5]);
}

#[test]
fn an_instance_behind_another_address_is_known_by_what_the_module_said() {
    let (gateway, instance) = (|last: u32| format!("192.168.0.{last}"), |last: u32| format!("10.0.0.{last}"));
    let content = |isolated: &[u32]| {
        let instances: Vec<_> = (1..=4)
            .map(|last| json!({"id": last.to_string(), "host": instance(last), "port": 80, "isolate": isolated.contains(&last), "weight": 100, "healthy": true}))
            .collect();
        let answer = json!({"code": 200000, "service": {"namespace": "ns", "name": "s"}, "instances": instances});
        crate::registry::decode_answer(answer.to_string().as_bytes(), "test").unwrap().content
    };
    let update = |given: &[u32]| polaris2istio_core::model::Update {
        resolution: None,
        location: None,
        ports: vec![],
        endpoints: (given.iter())
            .map(|last| polaris2istio_core::model::Endpoint {
                address: gateway(*last),
                ports: vec![("a".into(), 15_000)],
                labels: vec![],
                weight: 1,
                locality: String::new(),
                service_account: None,
                network: None,
                instances: vec![last - 1],
            })
            .collect(),
        annotations: vec![],
        content_revision: None,
    };
    let live = entry(ports(&["a"]), &json!([]));
    let (fleet, mut guard) = (Fleet::new("100%".parse().unwrap()), Guard::default());
    let mut check = |isolated: &[u32], given: &[u32], wanted: &[u32], kinds: &[Kind]| {
        let (content, update) = (content(isolated), update(given));
        let Content::Listed(service) = &content else { panic!("it lists instances") };
        let input = GuardInput {
            live: &live,
            service: "ns/s",
            content: &content,
            origins: Origins::of(&update, service),
            answers: 1,
            is_answered: true,
            settings: Settings::default(),
            excluded: &[],
            addresses: &Default::default(),
            release: None,
            promotion: 0,
            module: 0,
            restored: false,
            writable: true,
            now: Instant::now(),
        };
        let mut desired = Desired::new(update, "ns/s".into(), String::new());
        let decision = guard.decide(&mut desired, &input, &fleet);
        let found: Vec<_> = desired.endpoints.iter().map(|endpoint| endpoint.address.clone()).collect();
        assert_eq!(found, wanted.iter().map(|last| gateway(*last)).collect::<Vec<_>>());
        assert_eq!(decision.holds.iter().map(|hold| hold.kind).collect::<Vec<_>>(), kinds);
    };
    check(&[], &[1, 2, 3, 4], &[1, 2, 3, 4], &[]);
    check(&[1, 2, 3], &[4], &[4], &[]);
    check(&[], &[1, 2, 3, 4], &[1, 2, 3, 4], &[]);
    check(&[], &[1], &[1, 2, 3, 4], &[Kind::Module]);
    check(&[2], &[1], &[1, 3, 4], &[Kind::Module]);
}

#[test]
fn an_instance_that_changes_its_port_leaves_nothing_behind() {
    let live = entry(ports(&["a"]), &json!([]));
    let (fleet, mut guard) = (Fleet::new("100%".parse().unwrap()), Guard::default());
    // Four instances of one address, each given as (id, port), and the ports that the entry has after that.
    let mut check = |listed: &[(&str, u32)], wanted: &[u32], kinds: &[Kind]| {
        let at = |port: u32| json!({"address": "10.0.0.1", "ports": {"a": port}, "weight": 1});
        let given = entry(ports(&["a"]), &listed.iter().map(|(_, port)| at(*port)).collect());
        let instances: Vec<_> =
            listed.iter().map(|(id, port)| json!({"id": id, "host": "10.0.0.1", "port": port})).collect();
        let answer = json!({"code": 200000, "service": {"namespace": "ns", "name": "s"}, "instances": instances});
        let answer = crate::registry::decode_answer(answer.to_string().as_bytes(), "test").unwrap();
        let mut desired = Desired {
            resolution: given.spec.resolution,
            location: None,
            ports: given.spec.ports.clone(),
            endpoints: given.spec.endpoints.clone().into(),
            annotations: Default::default(),
            revision: String::new(),
        };
        let seen = GuardInput {
            live: &live,
            service: "ns/s",
            content: &answer.content,
            origins: Default::default(),
            answers: 1,
            is_answered: true,
            settings: Settings::default(),
            excluded: &[],
            addresses: &Default::default(),
            release: None,
            promotion: 0,
            module: 0,
            restored: false,
            writable: true,
            now: Instant::now(),
        };
        let decision = guard.decide(&mut desired, &seen, &fleet);
        let mut found: Vec<_> =
            desired.endpoints.iter().flat_map(|one| one.ports.iter().map(|(_, port)| *port)).collect();
        found.sort_unstable();
        assert_eq!(found, wanted);
        assert_eq!(decision.holds.iter().map(|hold| hold.kind).collect::<Vec<_>>(), kinds);
    };
    check(&[("w", 1), ("x", 2), ("y", 3), ("z", 4)], &[1, 2, 3, 4], &[]);
    check(&[("w", 11), ("x", 12), ("y", 13), ("z", 14)], &[11, 12, 13, 14], &[]);
    // Others at other ports are no move, and what they do not replace is held.
    check(&[("k", 21)], &[11, 12, 13, 14, 21], &[Kind::Removal]);
}
