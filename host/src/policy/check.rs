//! Faults of a policy that its schema lets through, or that an API server without our schema, or a file, has let through.

use serde_json::Value;

use super::import::{PolarisImportSpec, Template};
use crate::annotation::{MODULE_PREFIX, NAMESPACE, REVISION, SERVICE};
use crate::entries::LABELS;
use crate::guard::HoldTime;
use crate::percent::Percent;

impl PolarisImportSpec {
    /// The fault that keeps this policy from being carried out, with its remedy; `None` if nothing does.
    pub fn problem(&self) -> Option<String> {
        let problem = |field: &str, text: &str| Some(format!("spec.{field}: {text}"));
        if self.polaris_namespace.is_empty() {
            return problem("polarisNamespace", "empty; name a namespace of the registry");
        }
        if self.select.names.as_ref().is_some_and(Vec::is_empty) {
            return problem("select.names", "empty, so it selects nothing; leave it out to select every name");
        }
        if let Err(error) = self.prune.after.parse::<HoldTime>() {
            return problem("prune.after", &error);
        }
        if let Some(Err(error)) = self.prune.limit.as_deref().map(str::parse::<Percent>) {
            return problem("prune.limit", &error);
        }
        self.template.problem().map(|text| format!("spec.template.{text}"))
    }

    /// How long an entry outlives its service.
    pub fn prune_after(&self) -> HoldTime {
        self.prune.after.parse().unwrap_or(HoldTime::Never)
    }

    /// The share of entries that may go at once.
    pub fn prune_limit(&self, usual: Percent) -> Percent {
        self.prune.limit.as_deref().and_then(|limit| limit.parse().ok()).unwrap_or(usual)
    }
}

impl Template {
    fn problem(&self) -> Option<String> {
        let without = |template: &String| !template.contains("{service}");
        if without(&self.name) {
            return Some("name: all services would have one entry; write `{service}` in it".into());
        }
        if self.hosts.is_empty() {
            return Some("hosts: there is none; write one such as `{service}.polaris`".into());
        }
        if self.hosts.iter().any(without) {
            return Some("hosts: all services would have one host; write `{service}` in each".into());
        }
        if let Some((key, _)) = LABELS.iter().find(|(key, _)| self.labels.contains_key(*key)) {
            return Some(format!("labels: `{key}` is set by the controller; leave it out"));
        }
        let ours =
            |key: &&String| [NAMESPACE, SERVICE, REVISION].contains(&key.as_str()) || key.starts_with(MODULE_PREFIX);
        let key = self.annotations.keys().find(ours)?;
        Some(format!("annotations: `{key}` is set by the controller; leave it out"))
    }
}

/// The fields of a document that its schema does not have: in a file, nobody else would tell of a slip.
pub fn unknown_fields(document: &Value, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(document, schema, "", &mut found);
    found
}

fn walk(document: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
    if let (Some(fields), Some(known)) = (document.as_object(), schema["properties"].as_object()) {
        for (key, value) in fields {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match known.get(key) {
                Some(schema) => walk(value, schema, &path, found),
                None => found.push(path),
            }
        }
    }
    for (number, item) in document.as_array().into_iter().flatten().enumerate() {
        walk(item, &schema["items"], &format!("{path}[{number}]"), found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(change: Value, expected: Option<&str>) {
        let mut spec = json!({"polarisNamespace": "default", "template": {"hosts": ["{service}.polaris"]}});
        for (pointer, value) in change.as_object().unwrap() {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            spec.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        let spec: PolarisImportSpec = serde_json::from_value(spec).unwrap();
        let problem = spec.problem();
        match (&problem, expected) {
            (Some(problem), Some(expected)) => assert!(problem.starts_with(expected), "{problem}"),
            (problem, expected) => assert_eq!(problem.as_deref(), expected),
        }
    }

    #[test]
    fn names_what_cannot_work() {
        check(json!({}), None);
        check(json!({"/polarisNamespace": ""}), Some("spec.polarisNamespace: empty"));
        check(json!({"/select": {"names": []}}), Some("spec.select.names: empty"));
        check(json!({"/prune": {"after": "soon"}}), Some("spec.prune.after: "));
        check(json!({"/prune": {"limit": "many"}}), Some("spec.prune.limit: "));
        check(json!({"/prune": {"after": "never", "limit": "100%"}}), None);
        check(json!({"/template/name": "one"}), Some("spec.template.name: "));
        check(json!({"/template/hosts": []}), Some("spec.template.hosts: there is none"));
        check(json!({"/template/hosts": ["{service}.a", "b"]}), Some("spec.template.hosts: all services"));
        check(json!({"/template/labels": {"manager": "me"}}), Some("spec.template.labels: `manager`"));
        check(
            json!({"/template/annotations": {"aeraki.net/polarisService": "x"}}),
            Some("spec.template.annotations: "),
        );
        check(json!({"/template/annotations": {"polaris2istio.aeraki.net/policy": "x"}}), Some("spec.template.ann"));
        check(json!({"/template/annotations": {"aeraki.net/dns": "records"}}), None);
    }

    #[test]
    fn a_slip_in_a_file_is_found() {
        let schema = json!({"properties": {
            "spec": {"properties": {"select": {"properties": {"names": {"items": {"type": "string"}}}},
                "ports": {"items": {"properties": {"name": {}}}}, "labels": {"additionalProperties": {}}}},
        }});
        let document = json!({"spec": {"selct": {}, "select": {"name": [], "names": ["a"]}, "ports": [{"nam": 1}], "labels": {"a": 1}}});
        assert_eq!(unknown_fields(&document, &schema), ["spec.ports[0].nam", "spec.selct", "spec.select.name"]);
    }
}
