//! The one decoder, on recorded answers and on what might come.

use std::sync::Arc;

use polaris2istio::registry::{Answer, Content, RegistryError, ServiceKey, decode_answer};
use polaris2istio_core::model::{Instance, Service};
use serde_json::{Value, json};

use super::{listed, recorded};

fn service(text: &str) -> Service {
    match decode_answer(text.as_bytes(), "the answer").unwrap() {
        Answer { content: Content::Listed(service), .. } => Arc::unwrap_or_clone(service),
        other => panic!("{other:?}"),
    }
}

fn instances(list: Value) -> Vec<Instance> {
    let answer = json!({"code": 200_000, "service": {"namespace": "shop", "name": "cart"}, "instances": list});
    service(&answer.to_string()).instances
}

/// Checks that a text is refused, as which kind, and that the words name what there is to name.
fn check_refused(text: &str, kind: &str, words: &[&str]) {
    let error = decode_answer(text.as_bytes(), "registry answer /answers/cart.json").unwrap_err();
    let shown = error.to_string();
    assert_eq!(error.kind(), kind, "{shown}");
    assert!(shown.contains("/answers/cart.json"), "{shown}");
    words.iter().for_each(|word| assert!(shown.contains(word), "no `{word}` in: {shown}"));
}

#[test]
fn a_full_answer_is_kept_as_it_is_and_sorted() {
    let service = service(&recorded("discover-full-mixed"));
    assert_eq!((&*service.namespace, &*service.name), ("prod", "orders"));
    assert_eq!(service.revision, "4a3079b143376f52d77068eb0885de99707f53ad");
    let ids: Vec<&str> = service.instances.iter().map(|instance| &instance.id[..4]).collect();
    assert_eq!(ids, ["20d9", "8b19", "cce8", "e4e4", "f228", "fbb9"]);
    let [first, weightless, named, unhealthy, isolated, silent] = &service.instances[..] else { panic!() };
    assert_eq!((&*first.host, first.port, &*first.protocol, &*first.version), ("10.1.0.1", 8080, "http", "v1"));
    assert_eq!((first.weight, first.priority, first.healthy, first.isolated), (100, 0, true, false));
    assert_eq!(first.location.region, "ap-guangzhou");
    assert_eq!(first.location.zone, "ap-guangzhou-3");
    assert_eq!(first.location.campus, "campus-a");
    let keys: Vec<&str> = first.metadata.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["campus", "env", "protocol", "region", "version", "zone"]);
    assert_eq!(weightless.weight, 0);
    assert_eq!((&*named.host, named.port, &*named.protocol), ("orders.example.com", 0, ""));
    assert_eq!((unhealthy.healthy, unhealthy.isolated), (false, false));
    assert_eq!((isolated.isolated, isolated.weight, &*isolated.protocol), (true, 50, "grpc"));
    assert_eq!(silent.metadata, [("internal-lastheartbeat".to_owned(), "0".to_owned())]);
}

#[test]
fn an_alias_stands_under_the_name_that_was_asked_for() {
    let service = service(&recorded("alias"));
    assert_eq!((&*service.namespace, &*service.name), ("default", "e1795409641m-al"));
    assert!(!service.instances.is_empty());
}

#[test]
fn a_service_without_instances_exists() {
    let service = service(&recorded("empty-service"));
    assert!(service.instances.is_empty());
    assert_eq!(service.metadata, [("k".to_owned(), "v".to_owned())]);
}

#[test]
fn a_service_that_does_not_exist_is_an_answer() {
    let answer = decode_answer(recorded("not-found-400202").as_bytes(), "x").unwrap();
    assert_eq!(answer, Answer { service: ServiceKey::new("prod", "nosuch"), content: Content::Missing });
}

#[test]
fn what_is_no_content_is_refused() {
    check_refused(&recorded("unchanged-200001"), "not-instances", &["200001", "empty revision"]);
    check_refused(&recorded("services"), "not-instances", &["`type` is SERVICES"]);
    check_refused(&recorded("auth-denied-401001"), "denied", &["401001", "invalid token"]);
    check_refused(&recorded("bad-json-400001"), "refused", &["400001", "unexpected EOF"]);
    check_refused(&recorded("unknown-field-400001"), "refused", &["400001", "bogus"]);
    check_refused(&recorded("empty-name"), "refused", &["400120", "namespace and name"]);
    check_refused(r#"{"code":200000,"type":6,"service":{"name":"a"}}"#, "not-instances", &["`type` is 6"]);
    check_refused(r#"{"code":200000,"service":null}"#, "not-instances", &["service.name"]);
    check_refused(r#"{"code":400202,"service":null}"#, "not-instances", &["not which"]);
    check_refused("{}", "not-instances", &["`code` is missing"]);
    let without = r#"{"code":200000,"service":{"namespace":"shop","name":"cart","revision":"r"}}"#;
    check_refused(without, "not-instances", &["field `instances` is missing"]);
    check_refused(&without.replace("}}", r#"},"instances":null}"#), "not-instances", &["field `instances` is missing"]);
    check_refused(r#"{"code":null}"#, "not-instances", &["`code`"]);
}

#[test]
fn codes_stand_for_kinds_of_trouble() {
    for (code, kind) in [
        (401_001, "denied"),
        (401_003, "denied"),
        (401_004, "denied"),
        (403_001, "denied"),
        (403_003, "limited"),
        (429_002, "limited"),
        (500_000, "server"),
        (500_001, "server"),
        (400_001, "refused"),
        (999_999, "refused"),
    ] {
        check_refused(&json!({"code": code, "info": "words"}).to_string(), kind, &[&code.to_string(), "words"]);
    }
}

/// The registry's words go to the log, and must not begin a line there that looks like another.
#[test]
fn words_of_the_registry_are_one_line() {
    let info = "\u{1b}[31mno\nERROR all is lost";
    let shown = "\u{fffd}[31mno\u{fffd}ERROR all is lost";
    check_refused(&json!({"code": 400_001, "info": info}).to_string(), "refused", &[shown]);
}

#[test]
fn what_is_not_an_answer_is_refused() {
    let whole = recorded("discover-full-mixed");
    check_refused("", "not-json", &["it is empty", "/v1/Discover"]);
    check_refused(&whole[..1000], "not-json", &["ends too early", "1000 bytes"]);
    check_refused("<html>", "not-json", &["not JSON"]);
    check_refused("[]", "field", &["invalid"]);
    check_refused("null", "field", &["null"]);
    check_refused(
        &whole.replacen("\"port\": 8080", "\"port\": \"http\"", 1),
        "field",
        &["`instances[0].port`", "\"http\"", "u32"],
    );
    check_refused(&whole.replacen("\"port\": 8080", "\"port\": -1", 1), "field", &["instances[0].port", "-1"]);
    check_refused(&whole.replacen("\"healthy\": true", "\"healthy\": 1", 1), "field", &["instances[0].healthy"]);
}

#[test]
fn null_everywhere_is_the_default() {
    let unset = json!({"id": null, "host": null, "port": null, "protocol": null, "version": null, "weight": null,
        "priority": null, "healthy": null, "isolate": null, "location": null, "metadata": null});
    let [instance] = &instances(json!([unset]))[..] else { panic!() };
    assert_eq!((instance.port, instance.weight, instance.healthy, instance.isolated), (0, 100, true, false));
    assert_eq!((&*instance.host, &*instance.protocol), ("", ""));
    assert!(instances(json!([Value::Null])).is_empty());
    let parts = json!([{"location": {"region": null, "zone": "z", "campus": null}, "metadata": {"a": null}}]);
    let [instance] = &instances(parts)[..] else { panic!() };
    assert_eq!((&*instance.location.region, &*instance.location.zone), ("", "z"));
    assert_eq!(instance.metadata, [("a".to_owned(), String::new())]);
}

#[test]
fn unknown_values_and_fields_are_tolerated() {
    let text = r#"{"code":200000,"type":"BRAND_NEW","new":[1],"service":{"name":"cart","new":{}},
        "instances":[{"id":"a","healthCheck":{"type":99},"port":70000,"new":null}]}"#;
    let service = service(text);
    assert_eq!((&*service.namespace, service.instances[0].port), ("default", 70_000));
    for kind in ["\"INSTANCE\"", "1", "99", "-3", "null"] {
        let answer = decode_answer(text.replace("\"BRAND_NEW\"", kind).as_bytes(), "x");
        assert!(answer.is_ok(), "{kind}: {answer:?}");
    }
}

#[test]
fn an_instance_without_an_id_is_named_by_its_address() {
    assert_eq!(instances(json!([{"host": "10.0.0.1", "port": 80}]))[0].id, "10.0.0.1:80");
}

#[test]
fn the_order_never_matters() {
    let forth = listed("cart", "r", &[("b", "10.0.0.2"), ("a", "10.0.0.1"), ("a", "10.0.0.0")]);
    let back = listed("cart", "r", &[("a", "10.0.0.0"), ("a", "10.0.0.1"), ("b", "10.0.0.2")]);
    assert_eq!(service(&forth), service(&back));
}

#[test]
fn service_tokens_are_never_shown() {
    let text = r#"{"code":200000,"service":{"name":"cart","token":"s3cret"},
        "instances":[{"id":"a","service_token":"s3cret","port":"s3"}]}"#;
    let error = decode_answer(text.as_bytes(), "x").unwrap_err();
    assert!(matches!(error, RegistryError::Field { .. }));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[test]
fn five_thousand_instances_are_fine() {
    let ids: Vec<String> = (0..5_000).map(|number| format!("{number:04}")).collect();
    let list: Vec<(&str, &str)> = ids.iter().map(|id| (&**id, "10.0.0.1")).collect();
    assert_eq!(service(&listed("cart", "r", &list)).instances.len(), 5_000);
}

#[test]
fn more_than_can_be_served_is_refused() {
    let answer = |rest: String| format!(r#"{{"code":200000,"service":{{"name":"cart"}},{rest}}}"#);
    let list = |count: usize, one: &str| answer(format!(r#""instances":[{}]"#, vec![one; count].join(",")));
    let pairs = |count: usize| {
        let pairs: Vec<String> = (0..count).map(|number| format!(r#""{number}":"""#)).collect();
        format!(r#"{{"metadata":{{{}}}}}"#, pairs.join(","))
    };
    assert_eq!(service(&list(20_000, "{}")).instances.len(), 20_000);
    check_refused(&list(20_001, "{}"), "too-many", &["more than 20000 instances", "check the service"]);
    assert_eq!(service(&list(1, &pairs(1_024))).instances[0].metadata.len(), 1_024);
    check_refused(&list(1, &pairs(1_025)), "too-many", &["more than 1024 pairs of metadata"]);
    assert_eq!(service(&list(200, &pairs(1_000))).instances.len(), 200);
    check_refused(&list(201, &pairs(1_000)), "too-many", &["more than 200000 pairs of metadata"]);
    let named = |name: &str| format!(r#"{{"code":200000,"service":{{"name":"{name}"}},"instances":[]}}"#);
    check_refused(&named(&"x".repeat(1_025)), "too-many", &["more than 1024 bytes", "name"]);
    let metadata = pairs(1_025).replacen("{\"metadata", "{\"name\":\"cart\",\"metadata", 1);
    check_refused(
        &format!(r#"{{"code":200000,"service":{metadata},"instances":[]}}"#),
        "too-many",
        &["more than 1024 pairs"],
    );
}

#[test]
fn what_is_wrong_is_repeated_in_part() {
    let long = "x".repeat(1 << 20);
    for wrong in [
        format!(r#""instances":[{{"port":"{long}"}}]"#),
        format!(r#""instances":[{{"metadata":{{"{long}":1}}}}]"#),
        format!(r#""instances":"{long}""#),
    ] {
        let text = format!(r#"{{"code":200000,"service":{{"name":"cart"}},{wrong}}}"#);
        let error = decode_answer(text.as_bytes(), "x").unwrap_err().to_string();
        assert!(error.len() < 1_000, "{} bytes: {error:.200}", error.len());
        assert!(error.contains("expected") && error.contains("..."), "{error}");
    }
}
