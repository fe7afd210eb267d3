//! Objects in a form in which two renderings of the same are equal.

use std::collections::BTreeMap;

use polaris2istio_tests::servers::Manifests;
use serde_json::Value;

/// Objects by kind, namespace and name.
pub(crate) type Objects = BTreeMap<String, Value>;

/// Without the labels that name a release and its tool, and with lists in order whose order means nothing.
pub(crate) fn normal(manifests: Manifests) -> Objects {
    manifests.0.into_iter().map(|object| (key(&object), simplified(object))).collect()
}

fn key(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    format!("{} {}/{}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

fn simplified(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(key, _)| !of_the_release(key));
            let simple = kept.map(|(key, value)| (key.clone(), sorted(&key, simplified(value))));
            // A map of nothing but such labels is as good as none.
            Value::Object(simple.filter(|(_, value)| *value != Value::Object(Default::default())).collect())
        }
        Value::Array(values) => values.into_iter().map(simplified).collect(),
        other => other,
    }
}

fn of_the_release(key: &str) -> bool {
    key.starts_with("app.kubernetes.io/") || key.starts_with("helm.sh/")
}

fn sorted(key: &str, mut value: Value) -> Value {
    if let (true, Value::Array(values)) = (["env", "volumes", "volumeMounts"].contains(&key), &mut value) {
        values.sort_by_key(|value| value["name"].as_str().unwrap_or_default().to_owned());
    }
    value
}
