//! An entry as a set of fields, each by itself: a label, an annotation, a port, a field of the spec. So that an operator's own
//! field on a made entry stays his, whatever the template says of the others.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value, json};

use crate::istio::MANAGER;

/// The field manager of policies.
pub const POLICY_MANAGER: &str = "polaris2istio-policy";

/// A field, by its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Label(String),
    Annotation(String),
    /// A port, by name.
    Port(String),
    /// All ports, by an API server that knows no single ones (CRDs from before Istio 1.24).
    Ports,
    /// Any other field right under `spec`.
    Spec(String),
}

/// Fields with their values.
pub type Fields = BTreeMap<Field, Value>;

/// Who declared which field, as far as policies need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// The fields that policies declared.
    pub ours: BTreeSet<Field>,
    /// The fields that others declared: operators, not the controller's own writes.
    pub others: BTreeSet<Field>,
}

/// The fields of an object.
pub fn fields(labels: &Map<String, Value>, annotations: &Map<String, Value>, spec: &Map<String, Value>) -> Fields {
    let labels = labels.iter().map(|(key, value)| (Field::Label(key.clone()), value.clone()));
    let annotations = annotations.iter().map(|(key, value)| (Field::Annotation(key.clone()), value.clone()));
    let mut fields: Fields = labels.chain(annotations).collect();
    for (key, value) in spec {
        if key != "ports" {
            fields.insert(Field::Spec(key.clone()), value.clone());
            continue;
        }
        for port in value.as_array().into_iter().flatten() {
            let name = port["name"].as_str().unwrap_or_default();
            fields.insert(Field::Port(name.into()), port.clone());
        }
    }
    fields
}

/// The names of the ports of a spec, in order.
pub fn port_names(spec: &Map<String, Value>) -> Vec<String> {
    let ports = spec.get("ports").and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(|port| port["name"].as_str()).map(str::to_owned).collect()
}

/// The body of an apply with these fields; ports in this order of their names.
pub fn body(fields: &Fields, order: &[String]) -> Value {
    let mut body = json!({"metadata": {"labels": {}, "annotations": {}}, "spec": {}});
    for (field, value) in fields {
        match field {
            Field::Label(key) => body["metadata"]["labels"][key] = value.clone(),
            Field::Annotation(key) => body["metadata"]["annotations"][key] = value.clone(),
            Field::Spec(key) => body["spec"][key] = value.clone(),
            Field::Port(_) | Field::Ports => {}
        }
    }
    let ports: Vec<_> = order.iter().filter_map(|name| fields.get(&Field::Port(name.clone()))).collect();
    if !ports.is_empty() {
        body["spec"]["ports"] = json!(ports);
    }
    body
}

/// The fields to apply so that an entry has the wanted fields, but for those that others declared otherwise; `None` if it has
/// them, and policies declared no others.
pub fn difference(wanted: &Fields, live: &Fields, owners: &Owners) -> Option<Fields> {
    let apply: Fields = wanted
        .iter()
        .filter(|(field, value)| !owners.are_others(field) || live.get(field) == Some(value))
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    let equal = apply.iter().all(|(field, value)| live.get(field) == Some(value));
    let declared: BTreeSet<_> = apply.keys().cloned().collect();
    let all_ports = owners.ours.contains(&Field::Ports);
    let same = |field: &&Field| !(all_ports && matches!(field, Field::Port(_) | Field::Ports));
    let owned = owners.ours.iter().filter(same).eq(declared.iter().filter(same));
    (!equal || !owned).then_some(apply)
}

impl Owners {
    /// Whether policies declared a field.
    pub fn are_ours(&self, field: &Field) -> bool {
        self.ours.contains(field) || matches!(field, Field::Port(_)) && self.ours.contains(&Field::Ports)
    }

    /// Whether others did.
    fn are_others(&self, field: &Field) -> bool {
        self.others.contains(field) || matches!(field, Field::Port(_)) && self.others.contains(&Field::Ports)
    }

    /// Reads `metadata.managedFields`; claims on the status are not of interest.
    pub fn read(managers: &[ManagedFieldsEntry]) -> Self {
        let mut owners = Self::default();
        for manager in managers.iter().filter(|manager| manager.subresource.as_deref().unwrap_or_default().is_empty()) {
            let Some(declared) = manager.fields_v1.as_ref().map(|fields| &fields.0) else { continue };
            match (manager.manager.as_deref().unwrap_or_default(), manager.operation.as_deref()) {
                (POLICY_MANAGER, _) => owners.ours.extend(declared_in(declared)),
                (MANAGER, Some("Apply")) => {}
                _ => owners.others.extend(declared_in(declared)),
            }
        }
        owners
    }
}

fn declared_in(declared: &Value) -> BTreeSet<Field> {
    let keys = |pointer: &str| -> Vec<String> {
        let all = declared.pointer(pointer).and_then(Value::as_object);
        all.into_iter().flat_map(Map::keys).filter_map(|key| Some(key.strip_prefix("f:")?.to_owned())).collect()
    };
    let labels = keys("/f:metadata/f:labels").into_iter().map(Field::Label);
    let annotations = keys("/f:metadata/f:annotations").into_iter().map(Field::Annotation);
    let spec = keys("/f:spec").into_iter().filter(|key| key != "ports").map(Field::Spec);
    let mut fields: BTreeSet<_> = labels.chain(annotations).chain(spec).collect();
    if let Some(ports) = declared.pointer("/f:spec/f:ports").and_then(Value::as_object) {
        let names = ports.keys().filter_map(|key| {
            let key: Value = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
            Some(Field::Port(key["name"].as_str()?.to_owned()))
        });
        let named: Vec<_> = names.collect();
        // A granular list has its keys; an atomic one is a bare `{}`.
        if named.is_empty() { fields.extend([Field::Ports]) } else { fields.extend(named) }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: Value) -> Fields {
        let part = |pointer: &str| value.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
        fields(&part("/labels"), &part("/annotations"), &part("/spec"))
    }

    fn owners(managers: Value) -> Owners {
        let managers: Vec<ManagedFieldsEntry> = serde_json::from_value(managers).unwrap();
        Owners::read(&managers)
    }

    fn manager(name: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": name, "operation": operation, "fieldsV1": fields})
    }

    const WANTED: &str = r#"{"labels": {"team": "shop"}, "annotations": {"a": "1"},
        "spec": {"hosts": ["h"], "ports": [{"name": "http", "number": 80}]}}"#;

    fn ours() -> Value {
        manager(
            POLICY_MANAGER,
            "Apply",
            json!({"f:metadata": {"f:labels": {"f:team": {}}, "f:annotations": {"f:a": {}}},
                "f:spec": {"f:hosts": {}, "f:ports": {"k:{\"name\":\"http\"}": {".": {}, "f:number": {}}}}}),
        )
    }

    #[track_caller]
    fn check(live: Value, managers: Vec<Value>, expected: Option<Value>) {
        let wanted: Value = serde_json::from_str(WANTED).unwrap();
        let order = ["http".to_owned()];
        let found = difference(&of(wanted), &of(live), &owners(json!(managers))).map(|fields| body(&fields, &order));
        assert_eq!(found, expected);
    }

    fn whole() -> Value {
        let wanted: Value = serde_json::from_str(WANTED).unwrap();
        json!({"metadata": {"labels": wanted["labels"], "annotations": wanted["annotations"]}, "spec": wanted["spec"]})
    }

    #[test]
    fn nothing_is_applied_where_nothing_differs() {
        let mut live: Value = serde_json::from_str(WANTED).unwrap();
        live["annotations"]["aeraki.net/revision"] = json!("r");
        live["spec"]["ports"].as_array_mut().unwrap().push(json!({"name": "admin", "number": 99}));
        let admin = json!({"f:spec": {"f:ports": {"k:{\"name\":\"admin\"}": {".": {}}}}});
        check(live, vec![ours(), manager("kubectl-edit", "Update", admin)], None);
    }

    #[test]
    fn what_differs_is_applied_as_a_whole() {
        let mut live: Value = serde_json::from_str(WANTED).unwrap();
        live["spec"]["hosts"] = json!(["other"]);
        check(live.clone(), vec![ours()], Some(whole()));
        live["spec"]["hosts"] = json!(["h"]);
        check(live, vec![manager(POLICY_MANAGER, "Apply", json!({}))], Some(whole()));
    }

    #[test]
    fn what_a_template_no_longer_says_is_given_up() {
        let live: Value = serde_json::from_str(WANTED).unwrap();
        let mut more = ours();
        more["fieldsV1"]["f:spec"]["f:exportTo"] = json!({});
        check(live, vec![more], Some(whole()));
    }

    #[test]
    fn an_operators_own_field_stays_and_costs_no_other() {
        let mut live: Value = serde_json::from_str(WANTED).unwrap();
        live["labels"]["team"] = json!("mine");
        let edit = manager("kubectl-edit", "Update", json!({"f:metadata": {"f:labels": {"f:team": {}}}}));
        let mut without = ours();
        without["fieldsV1"]["f:metadata"]["f:labels"] = json!({});
        check(live.clone(), vec![without, edit.clone()], None);
        let mut expected = whole();
        expected["metadata"]["labels"] = json!({});
        check(live, vec![manager(POLICY_MANAGER, "Apply", json!({})), edit], Some(expected));
    }

    #[test]
    fn the_controllers_own_writes_are_nobodys_fields() {
        let mut live: Value = serde_json::from_str(WANTED).unwrap();
        live["spec"]["ports"] = json!([{"name": "http", "number": 8080}]);
        let derived = json!({"f:spec": {"f:ports": {"k:{\"name\":\"http\"}": {".": {}}}}});
        check(live, vec![ours(), manager(MANAGER, "Apply", derived)], Some(whole()));
    }

    #[test]
    fn ports_of_an_older_crd_are_one_field() {
        let live: Value = serde_json::from_str(WANTED).unwrap();
        let mut atomic = ours();
        atomic["fieldsV1"]["f:spec"]["f:ports"] = json!({});
        check(live, vec![atomic], None);
    }
}
