//! A ServiceEntry as far as policies need it: all entries of the namespace, made and written by hand, since none may get a name
//! or a host that another one has.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::core::object::{NotUsed, Object};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::fields::{Field, Fields, Owners, fields, port_names};
use crate::annotation::{GONE_SINCE, NAMESPACE, POLICY, SERVICE};
use crate::registry::ServiceKey;

/// The fields of a spec that a template can set.
const OURS: [&str; 5] = ["hosts", "ports", "location", "resolution", "exportTo"];

/// An entry as the API server gives it, with its endpoints counted and not kept.
pub type RawEntry = Object<Option<RawSpec>, NotUsed>;

#[derive(Clone, Debug, Default, Deserialize)]
pub struct RawSpec {
    #[serde(default)]
    endpoints: Option<Vec<IgnoredAny>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// The parts of an entry that are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    pub name: String,
    pub uid: String,
    pub resource_version: String,
    pub created: Option<Timestamp>,
    /// The policy that it is of.
    pub policy: Option<String>,
    /// The service that it is bound to.
    pub service: Option<ServiceKey>,
    pub hosts: Vec<String>,
    /// Since when its service is gone.
    pub gone_since: Option<Timestamp>,
    pub has_endpoints: bool,
    /// Empty if it is no policy's.
    pub fields: Fields,
    /// The names of its ports, in order.
    pub ports: Vec<String>,
    pub owners: Owners,
}

impl Head {
    pub fn new(entry: &RawEntry) -> Self {
        let RawEntry { metadata, spec, .. } = entry;
        let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).cloned();
        let spec = spec.clone().unwrap_or_default();
        let hosts = spec.others.get("hosts").and_then(Value::as_array);
        let hosts = hosts.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let policy = annotation(POLICY);
        let mut head = Self {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            service: annotation(SERVICE).map(|name| ServiceKey::new(annotation(NAMESPACE).unwrap_or_default(), name)),
            hosts,
            gone_since: annotation(GONE_SINCE).and_then(|text| text.parse().ok()),
            has_endpoints: spec.endpoints.is_some_and(|all| !all.is_empty()),
            policy,
            ..Self::default()
        };
        if head.policy.is_some() {
            let text = |pairs: &Option<BTreeMap<String, String>>| -> Map<String, Value> {
                pairs.iter().flatten().map(|(key, value)| (key.clone(), json!(value))).collect()
            };
            head.ports = port_names(&spec.others);
            let spec = spec.others.into_iter().filter(|(key, _)| OURS.contains(&key.as_str())).collect();
            head.fields = fields(&text(&metadata.labels), &text(&metadata.annotations), &spec);
            head.owners = metadata.managed_fields.as_deref().map(Owners::read).unwrap_or_default();
        }
        head
    }

    /// Whether anything that policies look at differs.
    pub fn differs(&self, other: &Self) -> bool {
        let changed = |field: &Field| self.fields.get(field) != other.fields.get(field);
        self.uid != other.uid
            || self.policy != other.policy
            || self.gone_since != other.gone_since
            || self.has_endpoints != other.has_endpoints
            || self.service != other.service
            || self.hosts != other.hosts
            || self.owners != other.owners
            || self.owners.ours.iter().any(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(policy: Option<&str>, change: Value) -> Head {
        let mut annotations = json!({"aeraki.net/polarisNamespace": "default", "aeraki.net/polarisService": "Cart"});
        if let Some(policy) = policy {
            annotations[POLICY] = json!(policy);
            annotations[GONE_SINCE] = json!("2026-01-01T00:00:00Z");
        }
        let mut entry = json!({
            "metadata": {"name": "cart", "uid": "u", "resourceVersion": "7", "annotations": annotations},
            "spec": {"hosts": ["cart.polaris"], "addresses": ["240.0.0.1"], "endpoints": [{"address": "10.0.0.1"}]},
        });
        for (pointer, value) in change.as_object().unwrap() {
            *entry.pointer_mut(pointer).unwrap() = value.clone();
        }
        Head::new(&serde_json::from_value(entry).unwrap())
    }

    #[test]
    fn keeps_what_policies_need() {
        let found = head(Some("shop"), json!({}));
        assert_eq!((found.name.as_str(), found.hosts.as_slice()), ("cart", ["cart.polaris".to_owned()].as_slice()));
        assert_eq!(found.policy.as_deref(), Some("shop"));
        assert_eq!(found.service, Some(ServiceKey::new("default", "Cart")));
        assert!(found.has_endpoints && found.gone_since.is_some() && !found.fields.is_empty());
        let foreign = head(None, json!({}));
        assert!(foreign.policy.is_none() && foreign.fields.is_empty() && foreign.gone_since.is_none());
    }

    #[test]
    fn new_endpoints_are_no_difference() {
        let before = head(Some("shop"), json!({}));
        let more = json!([{"address": "10.0.0.1"}, {"address": "10.0.0.2"}]);
        assert!(
            !before.differs(&head(Some("shop"), json!({"/spec/endpoints": more, "/metadata/resourceVersion": "8"})))
        );
        assert!(before.differs(&head(Some("shop"), json!({"/spec/endpoints": []}))));
        assert!(before.differs(&head(Some("shop"), json!({"/spec/hosts": ["other"]}))));
        assert!(before.differs(&head(None, json!({}))));
    }
}
