//! One object with who declared which of its fields, as server-side apply has it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// A way to a field: keys, and the keys of list items as `k:{"name":"http"}`.
pub(crate) type Path = Vec<String>;

/// A manager and its operation.
pub(crate) type Manager = (String, &'static str);

/// An object, but for its `managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) value: Value,
    pub(crate) managers: BTreeMap<Manager, BTreeSet<Path>>,
}

impl Object {
    pub(crate) fn new(value: Value) -> Self {
        Self { value, managers: BTreeMap::new() }
    }

    /// The object as the server shows it.
    pub(crate) fn shown(&self) -> Value {
        let mut shown = self.value.clone();
        let fields: Vec<_> = self.managers.iter().filter(|(_, paths)| !paths.is_empty()).map(managed).collect();
        if !fields.is_empty() {
            shown["metadata"]["managedFields"] = json!(fields);
        }
        shown
    }

    /// Applies a configuration with force.
    pub(crate) fn apply(&mut self, manager: &str, config: &Value) {
        let key = (manager.to_owned(), "Apply");
        let (new, old) = (declared(config), self.managers.remove(&key).unwrap_or_default());
        for path in old.difference(&new) {
            if !self.managers.values().any(|paths| paths.contains(path)) {
                take_out(&mut self.value, path);
            }
        }
        for path in &new {
            let wanted = find(config, path).cloned().unwrap_or_default();
            if find(&self.value, path) != Some(&wanted) {
                put(&mut self.value, path, wanted);
                self.managers.values_mut().for_each(|paths| _ = paths.remove(path));
            }
        }
        drop_empty_ports(&mut self.value);
        self.managers.insert(key, new);
    }

    /// Changes it as by `update`: what differs is this manager's from then on.
    pub(crate) fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        let before = self.value.clone();
        change(&mut self.value);
        let (old, new) = (declared(&before), declared(&self.value));
        for path in old.union(&new).filter(|path| find(&before, path) != find(&self.value, path)) {
            self.managers.values_mut().for_each(|paths| _ = paths.remove(path));
            if new.contains(path) {
                self.managers.entry((manager.to_owned(), "Update")).or_default().insert(path.clone());
            }
        }
    }
}

/// The fields that a configuration declares. Ports are a list by name; other lists are of one piece.
fn declared(config: &Value) -> BTreeSet<Path> {
    let mut paths = BTreeSet::new();
    let path = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Path>();
    for part in ["annotations", "labels"] {
        for key in keys(config.pointer(&format!("/metadata/{part}"))) {
            paths.insert(path(&["metadata", part, key]));
        }
    }
    for key in keys(config.get("spec")).filter(|key| *key != "ports") {
        paths.insert(path(&["spec", key]));
    }
    for port in config.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten() {
        let name = format!("k:{}", json!({"name": port["name"]}));
        for field in keys(Some(port)) {
            paths.insert(path(&["spec", "ports", &name, field]));
        }
    }
    paths
}

fn keys(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_object).into_iter().flat_map(Map::keys).map(String::as_str)
}

fn is_port(port: &Value, key: &str) -> bool {
    key == format!("k:{}", json!({"name": port["name"]}))
}

fn find<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    let [key, rest @ ..] = path else { return Some(value) };
    let next = match value {
        Value::Array(ports) => ports.iter().find(|port| is_port(port, key)),
        value => value.get(key),
    };
    find(next?, rest)
}

fn put(value: &mut Value, path: &[String], wanted: Value) {
    let [key, rest @ ..] = path else { return *value = wanted };
    if let Some(name) = key.strip_prefix("k:") {
        if !value.is_array() {
            *value = json!([]);
        }
        let Value::Array(ports) = value else { return };
        let at = ports.iter().position(|port| is_port(port, key)).unwrap_or_else(|| {
            ports.push(serde_json::from_str(name).expect("a name in JSON"));
            ports.len() - 1
        });
        return put(&mut ports[at], rest, wanted);
    }
    put(&mut value[key.as_str()], rest, wanted);
}

fn take_out(value: &mut Value, path: &[String]) {
    match (path, value) {
        ([key], Value::Object(object)) => drop(object.remove(key)),
        ([key, rest @ ..], Value::Array(ports)) => {
            ports.iter_mut().filter(|port| is_port(port, key)).for_each(|port| take_out(port, rest));
        }
        ([key, rest @ ..], value) => {
            if let Some(next) = value.get_mut(key) {
                take_out(next, rest);
            }
        }
        ([], _) => {}
    }
}

/// Items of which no field but the name is left.
fn drop_empty_ports(value: &mut Value) {
    if let Some(ports) = value.pointer_mut("/spec/ports").and_then(Value::as_array_mut) {
        ports.retain(|port| port.get("number").is_some());
    }
}

fn managed(((manager, operation), paths): (&Manager, &BTreeSet<Path>)) -> Value {
    let mut fields = json!({});
    for path in paths {
        let mut at = &mut fields;
        for part in path {
            let key = if part.starts_with("k:") { part.clone() } else { format!("f:{part}") };
            at = &mut at[key.as_str()];
            if at.is_null() {
                *at = if part.starts_with("k:") { json!({".": {}}) } else { json!({}) };
            }
        }
    }
    json!({
        "manager": manager, "operation": operation, "apiVersion": "networking.istio.io/v1",
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    })
}
