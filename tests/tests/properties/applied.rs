//! An entry after an apply, with the managed fields that the API server would give it.

use polaris2istio::entries::Document;
use polaris2istio::istio::ServiceEntry;
use polaris2istio::plan::Apply;
use serde_json::{Map, Value, json};

pub(crate) fn entry(document: &Document, apply: &Apply) -> ServiceEntry {
    let mut object = document.with(apply);
    object["metadata"]["managedFields"] =
        json!([claim("kubectl", "Apply", &document.value), claim("polaris2istio", "Apply", &apply.body()),]);
    let mut entry: ServiceEntry = serde_json::from_value(object).unwrap();
    entry.condense();
    entry
}

fn claim(manager: &str, operation: &str, body: &Value) -> Value {
    let spec = fields(&body["spec"], |name, value| match (name, value) {
        ("ports", Value::Array(ports)) => {
            ports.iter().map(|port| (format!("k:{}", json!({"name": port["name"]})), json!({".": {}}))).collect()
        }
        _ => Map::new(),
    });
    let annotations = fields(&body["metadata"]["annotations"], |_, _| Map::new());
    json!({"manager": manager, "operation": operation, "apiVersion": "networking.istio.io/v1", "fieldsType": "FieldsV1",
           "fieldsV1": {"f:metadata": {"f:annotations": annotations}, "f:spec": spec}})
}

fn fields(object: &Value, inner: impl Fn(&str, &Value) -> Map<String, Value>) -> Map<String, Value> {
    let all = object.as_object().into_iter().flatten();
    all.map(|(name, value)| (format!("f:{name}"), Value::Object(inner(name, value)))).collect()
}
