//! The changes that a policy would make to the entries of a cluster, for whoever looks before: by the plan that carries it out.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::fields::{Fields, body, fields, port_names};
use super::head::{Head, RawEntry};
use super::plan::{Action, Known, Step, World, plan};
use super::policy::Policy;
use super::report::Report;
use crate::percent::Percent;
use crate::registry::Catalogue;

/// One change of an entry, with what policies write: its labels, annotations and the fields of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub name: String,
    /// `None` if the entry is not there.
    pub before: Option<Value>,
    /// `None` if the entry goes.
    pub after: Option<Value>,
}

/// All changes that a policy would make now, and the words on it. Entries are those of its namespace, as the API server has them.
pub fn changes(
    policy: Policy,
    catalogue: Catalogue,
    entries: Vec<RawEntry>,
    fleet_limit: Percent,
    now: Timestamp,
) -> (Vec<Change>, Report) {
    let heads = entries.iter().map(Head::new);
    let entries: BTreeMap<_, _> = heads.map(|head| (head.name.clone(), head)).collect();
    let known = Known { catalogue: Some(Arc::new(catalogue)), ..Known::default() };
    let catalogues = BTreeMap::from([(policy.spec.polaris_namespace.clone(), known)]);
    let name = policy.name.clone();
    let mut plan = plan(&World {
        policies: &BTreeMap::from([(name.clone(), policy)]),
        catalogues: &catalogues,
        entries: &entries,
        denied: &BTreeMap::new(),
        fleet_limit,
        kind_stays: true,
        now,
    });
    let changes = plan.steps.iter().map(|step| change(step, entries.get(&step.name))).collect();
    (changes, plan.reports.remove(&name).unwrap_or_default())
}

fn change(step: &Step, there: Option<&Head>) -> Change {
    let before = there.map(|head| body(&head.fields, &head.ports));
    let after = match &step.action {
        Action::Create(body) | Action::Change(body) | Action::Mark(body) => Some(applied(body, there)),
        Action::Delete { .. } => None,
    };
    Change { name: step.name.clone(), before, after }
}

/// The entry after an apply: what policies declared and no longer apply is gone.
fn applied(apply: &Value, there: Option<&Head>) -> Value {
    let part = |pointer: &str| apply.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
    let spec: Map<String, Value> = part("/spec");
    let applied = fields(&part("/metadata/labels"), &part("/metadata/annotations"), &spec);
    let mut order = port_names(&spec);
    let mut all = Fields::new();
    if let Some(head) = there {
        let stays = |field: &_| applied.contains_key(field) || !head.owners.are_ours(field);
        all.extend(
            head.fields.iter().filter(|(field, _)| stays(field)).map(|(field, value)| (field.clone(), value.clone())),
        );
        order.extend(head.ports.iter().filter(|name| !port_names(&spec).contains(name)).cloned());
    }
    all.extend(applied);
    body(&all, &order)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(change: Value) -> Policy {
        let mut spec = json!({"polarisNamespace": "default", "template": {"hosts": ["{service}.polaris"]}});
        for (pointer, value) in change.as_object().unwrap() {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            spec.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        let object = json!({
            "apiVersion": "polaris2istio.aeraki.net/v1alpha1", "kind": "PolarisImport", "metadata": {"name": "shop"}, "spec": spec,
        });
        Policy::new(&serde_json::from_value(object).unwrap())
    }

    /// The changes of a policy for the services `cart` and `orders`, of which `cart` has an entry that was made by it.
    fn check(change: Value) -> BTreeMap<String, (Option<Value>, Option<Value>)> {
        let live = json!({
            "metadata": {
                "name": "cart",
                "labels": {"manager": "aeraki", "registry": "polaris", "team": "old", "mine": "1"},
                "annotations": {"aeraki.net/polarisNamespace": "default", "aeraki.net/polarisService": "cart",
                    "polaris2istio.aeraki.net/policy": "shop"},
                "managedFields": [{"manager": "polaris2istio-policy", "operation": "Apply", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:manager": {}, "f:registry": {}, "f:team": {}},
                        "f:annotations": {"f:aeraki.net/polarisNamespace": {}, "f:aeraki.net/polarisService": {},
                            "f:polaris2istio.aeraki.net/policy": {}}},
                    "f:spec": {"f:hosts": {}, "f:resolution": {}}}}],
            },
            "spec": {"hosts": ["cart.polaris"], "resolution": "STATIC", "endpoints": [{"address": "10.0.0.1"}]},
        });
        let services = ["cart", "orders"].map(|name| (name.to_owned(), BTreeMap::new()));
        let catalogue = Catalogue { revision: "r".into(), services: services.into() };
        let live = vec![serde_json::from_value(live).unwrap()];
        let (changes, _) =
            changes(policy(change), catalogue, live, Percent::new(20), "2026-01-01T00:00:00Z".parse().unwrap());
        changes.into_iter().map(|change| (change.name, (change.before, change.after))).collect()
    }

    #[test]
    fn shows_what_becomes_another_and_what_comes() {
        let same = check(json!({"/template/labels": {"team": "old"}}));
        assert_eq!(same.keys().collect::<Vec<_>>(), ["orders"]);
        assert!(matches!(&same["orders"], (None, Some(made)) if made["spec"]["hosts"] == json!(["orders.polaris"])));
        let changed = check(json!({}));
        let (Some(before), Some(after)) = &changed["cart"] else { panic!("{changed:?}") };
        assert_eq!(before["metadata"]["labels"]["team"], "old");
        let mut expected = before.clone();
        expected["metadata"]["labels"].as_object_mut().unwrap().remove("team");
        assert_eq!(*after, expected, "what somebody else wrote stays");
    }
}
