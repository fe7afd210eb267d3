//! What the API server does for a server-side apply, for YAML files: an operator's text and our fields become one object.
//!
//! The operator's file is the truth for all that it says; the output file carries our fields from run to run. Which ports
//! are derived is noted in an annotation, as a plain file has no managed fields.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::document::{Document, declared};
use crate::annotation::{DERIVED_PORTS, GONE_SINCE, MODULE_PREFIX, POLICY, REVISION};
use crate::istio::{Claim, MANAGER, Ownership, Ports, ServiceEntry};

/// Our fields, in the shape of an apply's body: `metadata.annotations`, and under `spec` any of `endpoints`, `resolution`,
/// `location`, `ports`.
pub(super) type Ours = Value;

/// Takes our fields out of an output file, seen beside the operator's text as it is now.
pub(super) fn ours_of(output: &Value, operator: &Value) -> Ours {
    let mut ours = json!({"metadata": {"annotations": {}}, "spec": {}});
    let annotations = output.pointer("/metadata/annotations").and_then(Value::as_object);
    for (key, value) in annotations.into_iter().flatten() {
        let of_policy = [POLICY, GONE_SINCE].contains(&key.as_str());
        if (key == REVISION || key.starts_with(MODULE_PREFIX)) && key != DERIVED_PORTS && !of_policy {
            ours["metadata"]["annotations"][key] = value.clone();
        }
    }
    let said = |field: &str| operator.pointer(&format!("/spec/{field}")).filter(|value| !value.is_null());
    for field in ["endpoints", "resolution", "location"] {
        let placeholder = field == "resolution" && said(field).is_some_and(|value| value == "NONE");
        let free = field == "endpoints" || said(field).is_none() || placeholder;
        if let Some(value) = output.pointer(&format!("/spec/{field}")).filter(|_| free) {
            ours["spec"][field] = value.clone();
        }
    }
    let derived =
        output.pointer("/metadata/annotations").and_then(|all| all.get(DERIVED_PORTS)).and_then(Value::as_str);
    let derived: BTreeSet<_> = derived.unwrap_or_default().split(',').filter(|name| !name.is_empty()).collect();
    let declared = port_names(operator);
    let ports = output.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let ports: Vec<_> = ports
        .filter(|port| name(port).is_some_and(|name| derived.contains(name) && !declared.contains(name)))
        .collect();
    if !ports.is_empty() {
        ours["spec"]["ports"] = json!(ports);
    }
    ours
}

/// The object that an operator's text and our fields make.
pub(super) fn merge(operator: &Value, ours: &Ours) -> Value {
    let mut object = operator.clone();
    for part in ["metadata", "spec"] {
        if !object[part].is_object() {
            object[part] = json!({});
        }
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        // A file is meant to be applied somewhere: what only a server may set would be refused there.
        metadata.retain(|key, _| {
            !["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"].contains(&key.as_str())
        });
    }
    let spec = ours.get("spec").and_then(Value::as_object);
    let (ports, fields): (Vec<_>, Vec<_>) = spec.into_iter().flatten().partition(|(field, _)| *field == "ports");
    for (field, value) in fields {
        object["spec"][field] = value.clone();
    }
    let mut annotations = ours.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
    let derived: Vec<&Value> = ports.into_iter().filter_map(|(_, ports)| ports.as_array()).flatten().collect();
    if !derived.is_empty() {
        let names: Vec<_> = derived.iter().filter_map(|port| name(port)).collect();
        annotations[DERIVED_PORTS] = json!(names.join(","));
        let mut all = object["spec"]["ports"].as_array().cloned().unwrap_or_default();
        all.extend(derived.into_iter().cloned());
        object["spec"]["ports"] = json!(all);
    }
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    for (key, value) in annotations.as_object().into_iter().flatten() {
        object["metadata"]["annotations"][key] = value.clone();
    }
    object
}

/// The entry as it is: the operator's text with our fields, and who declared what.
pub(super) fn live(document: &Document, ours: &Ours, object: &Value) -> Option<ServiceEntry> {
    let mut entry: ServiceEntry = serde_json::from_value(object.clone()).ok()?;
    entry.metadata.namespace.clone_from(&document.entry.metadata.namespace);
    if let Some(annotations) = &mut entry.metadata.annotations {
        annotations.remove(DERIVED_PORTS);
    }
    entry.ownership = Ownership::new(vec![declared(&document.value), claim(ours)]);
    Some(entry)
}

fn claim(ours: &Ours) -> Claim {
    let keys = |pointer: &str| -> BTreeSet<String> {
        ours.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned()).collect()
    };
    Claim {
        manager: MANAGER.into(),
        ours: true,
        ports: Ports::Named(port_names(ours).into_iter().map(str::to_owned).collect()),
        spec: keys("/spec").into_iter().filter(|field| field != "ports").collect(),
        annotations: keys("/metadata/annotations"),
    }
}

fn port_names(object: &Value) -> BTreeSet<&str> {
    object.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten().filter_map(name).collect()
}

fn name(port: &Value) -> Option<&str> {
    port.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operator: Value, ours: Value, merged: Value) {
        let object = merge(&operator, &ours);
        assert_eq!(object, merged);
        assert_eq!(ours_of(&object, &operator), ours, "what is ours is found again");
    }

    #[test]
    fn keeps_what_the_operator_says() {
        check(
            json!({"metadata": {"name": "e", "annotations": {"team": "a"}}, "spec": {"hosts": ["h"], "resolution": "STATIC", "ports": [{"name": "http", "number": 80}]}}),
            json!({"metadata": {"annotations": {REVISION: "r"}}, "spec": {"endpoints": [{"address": "10.0.0.1"}]}}),
            json!({"metadata": {"name": "e", "annotations": {"team": "a", REVISION: "r"}},
                   "spec": {"hosts": ["h"], "resolution": "STATIC", "ports": [{"name": "http", "number": 80}], "endpoints": [{"address": "10.0.0.1"}]}}),
        );
    }

    #[test]
    fn carries_derived_ports_and_a_replaced_placeholder() {
        check(
            json!({"metadata": {"name": "e"}, "spec": {"resolution": "NONE"}}),
            json!({"metadata": {"annotations": {REVISION: "r"}}, "spec": {"resolution": "STATIC", "ports": [{"name": "grpc", "number": 90}], "endpoints": []}}),
            json!({"metadata": {"name": "e", "annotations": {REVISION: "r", DERIVED_PORTS: "grpc"}},
                   "spec": {"resolution": "STATIC", "ports": [{"name": "grpc", "number": 90}], "endpoints": []}}),
        );
    }

    #[test]
    fn a_port_that_the_operator_now_declares_is_his() {
        let output = json!({"metadata": {"annotations": {DERIVED_PORTS: "grpc"}}, "spec": {"ports": [{"name": "grpc", "number": 90}]}});
        let operator = json!({"metadata": {}, "spec": {"ports": [{"name": "grpc", "number": 91}]}});
        assert_eq!(ours_of(&output, &operator)["spec"].get("ports"), None);
    }
}
