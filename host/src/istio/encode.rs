//! Writes an entry as it was read from a cluster or a directory, with who declared what: a file from which the same is read again.

use serde_json::{Map, Value, json};

use super::ownership::{Claim, Ownership, Ports};
use super::service_entry::{GROUP, KIND, ServiceEntry, VERSIONS};

/// The entry as an object. Fields that this program does not read are not in it.
pub fn encode_entry(entry: &ServiceEntry) -> Value {
    let (metadata, spec) = (&entry.metadata, &entry.spec);
    json!({
        "apiVersion": format!("{GROUP}/{}", VERSIONS[0]),
        "kind": KIND,
        "metadata": present(json!({
            "name": metadata.name,
            "namespace": metadata.namespace,
            "labels": metadata.labels,
            "annotations": metadata.annotations,
            "managedFields": managed_fields(&entry.ownership),
        })),
        "spec": present(json!({
            "hosts": spec.hosts,
            "addresses": spec.addresses,
            "ports": spec.ports,
            "location": spec.location,
            "resolution": spec.resolution,
            "endpoints": spec.endpoints,
            "workloadSelector": spec.workload_selector,
            "exportTo": spec.export_to,
        })),
    })
}

/// An object without the fields that say nothing.
fn present(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| {
            let is_empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
            !value.is_null() && !is_empty
        });
    }
    object
}

/// What `Ownership::from_managed_fields` reads.
fn managed_fields(ownership: &Ownership) -> Vec<Value> {
    ownership.claims().iter().map(managed).collect()
}

fn managed(claim: &Claim) -> Value {
    let named = |prefix: &str, names: &mut dyn Iterator<Item = String>| -> Map<String, Value> {
        names.map(|name| (format!("{prefix}{name}"), json!({}))).collect()
    };
    let mut spec = named("f:", &mut claim.spec.iter().cloned());
    match &claim.ports {
        Ports::None => {}
        Ports::All => drop(spec.insert("f:ports".into(), json!({}))),
        Ports::Named(names) if names.is_empty() => {}
        Ports::Named(names) => {
            let ports = names.iter().map(|name| (format!("k:{}", json!({ "name": name })), json!({".": {}})));
            spec.insert("f:ports".into(), Value::Object(ports.collect()));
        }
    }
    let annotations = named("f:", &mut claim.annotations.iter().cloned());
    let mut fields = Map::new();
    if !annotations.is_empty() {
        fields.insert("f:metadata".into(), json!({ "f:annotations": annotations }));
    }
    if !spec.is_empty() {
        fields.insert("f:spec".into(), Value::Object(spec));
    }
    let operation = if claim.ours { "Apply" } else { "Update" };
    json!({"manager": claim.manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_read_again() {
        let written = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {
                "name": "reviews", "namespace": "polaris", "labels": {"manager": "aeraki"},
                "annotations": {"aeraki.net/revision": "7"},
                "managedFields": [
                    {"manager": "kubectl", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {
                        "f:spec": {"f:hosts": {}, "f:ports": {"k:{\"name\":\"http\"}": {".": {}}}}}},
                    {"manager": "polaris2istio", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {
                        "f:metadata": {"f:annotations": {"f:aeraki.net/revision": {}}},
                        "f:spec": {"f:endpoints": {}, "f:ports": {"k:{\"name\":\"tcp\"}": {".": {}}}}}},
                    {"manager": "old", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:ports": {}}}},
                ],
            },
            "spec": {
                "hosts": ["reviews"], "location": "MESH_INTERNAL", "resolution": "STATIC", "exportTo": ["."],
                "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}, {"name": "tcp", "number": 9000, "protocol": "TCP", "targetPort": 90}],
                "endpoints": [{"address": "10.0.0.1", "ports": {"http": 8080}, "weight": 100, "labels": {"env": "prod"}}],
                "workloadSelector": {"labels": {"app": "reviews"}},
            },
        });
        let read = |value: &Value| -> ServiceEntry {
            let mut entry: ServiceEntry = serde_json::from_value(value.clone()).unwrap();
            entry.condense();
            entry
        };
        let entry = read(&written);
        assert!(entry.ownership.ours_as_port("tcp") && !entry.ownership.ours_as_port("http"));
        assert_eq!(encode_entry(&entry), written);
        assert_eq!(read(&encode_entry(&entry)).ownership, entry.ownership);
    }
}
