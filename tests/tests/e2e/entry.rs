//! ServiceEntries as operators write them, and what tests read of them.

use serde_json::{Value, json};

/// A ServiceEntry to apply.
#[derive(Clone, Debug)]
pub(crate) struct Entry(pub(crate) Value);

impl Entry {
    /// The entry of the user's document: STATIC, no ports, bound to the service of its own name.
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self(json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"manager": "aeraki", "registry": "polaris"},
                "annotations": {
                    "aeraki.net/polarisNamespace": namespace,
                    "aeraki.net/polarisService": name,
                    "aeraki.net/external": "false",
                },
            },
            "spec": {"hosts": [format!("dev.{name}.polaris")], "resolution": "STATIC"},
        }))
    }

    /// Changes it by a JSON merge patch: `null` removes.
    pub(crate) fn with(mut self, patch: &Value) -> Self {
        merge(&mut self.0, patch);
        self
    }

    /// Sets an annotation, or removes it by `null`.
    pub(crate) fn annotated(self, key: &str, value: impl Into<Value>) -> Self {
        self.with(&json!({"metadata": {"annotations": {key: value.into()}}}))
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap()
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.remove(key)),
            value => merge(target.entry(key).or_insert(Value::Null), value),
        }
    }
}

/// The addresses of an entry's endpoints, in their order.
pub(crate) fn addresses(entry: &Value) -> Vec<&str> {
    let endpoints = entry["spec"]["endpoints"].as_array().map_or(&[][..], Vec::as_slice);
    endpoints.iter().map(|endpoint| endpoint["address"].as_str().unwrap()).collect()
}

/// The ports of an entry, as `name number protocol`, sorted.
pub(crate) fn ports(entry: &Value) -> Vec<String> {
    let ports = entry["spec"]["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |port: &Value| {
        format!("{} {} {}", port["name"].as_str().unwrap(), port["number"], port["protocol"].as_str().unwrap_or("-"))
    };
    let mut ports: Vec<_> = ports.iter().map(text).collect();
    ports.sort_unstable();
    ports
}

/// An annotation of an entry.
pub(crate) fn annotation<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry["metadata"]["annotations"][key].as_str()
}
