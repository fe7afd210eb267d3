//! What an entry says of us: the fields that our managers declared, and our annotations. Pure.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Value, json};

use crate::annotation::{ALL, Audience, MODULE_PREFIX, POLICY};
use crate::istio::MANAGER;
use crate::policy::POLICY_MANAGER;

/// Our claims on one entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// The fields that are given up, by path.
    pub fields: BTreeSet<String>,
    /// The annotations that we wrote.
    pub annotations: BTreeSet<String>,
    /// Whether a policy made the entry.
    pub made: bool,
    /// The claims of all others, as they are to stay.
    others: Vec<ManagedFieldsEntry>,
}

impl Claims {
    /// Reads an entry's metadata.
    pub fn read(metadata: &ObjectMeta) -> Self {
        let managed = metadata.managed_fields.clone().unwrap_or_default();
        let (ours, others): (Vec<_>, Vec<_>) = managed.into_iter().partition(is_ours);
        let declared: Vec<_> =
            ours.iter().filter_map(|entry| entry.fields_v1.as_ref()).map(|fields| &fields.0).collect();
        let of = |pointer: &str| -> BTreeSet<String> {
            let objects = declared.iter().filter_map(|fields| fields.pointer(pointer)?.as_object());
            objects.flat_map(|object| object.keys()).filter_map(|key| key.strip_prefix("f:")).map(Into::into).collect()
        };
        let declared_annotations = of("/f:metadata/f:annotations");
        let present: BTreeSet<_> = metadata.annotations.iter().flatten().map(|(key, _)| key.clone()).collect();
        // The revision has the same key in the original's hands: it is ours where we declared it.
        let written = |key: &&String| {
            key.starts_with(MODULE_PREFIX) || (declared_annotations.contains(*key) && is_written_by_host(key))
        };
        let annotations = present.iter().filter(written).cloned().collect();
        let is_policy = |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(POLICY_MANAGER);
        let made = present.contains(POLICY) && ours.iter().any(is_policy);
        let mut fields: BTreeSet<_> = of("/f:spec").into_iter().map(|field| format!("spec.{field}")).collect();
        fields.extend(of("/f:metadata/f:labels").into_iter().map(|label| format!("label {label}")));
        fields.extend(declared_annotations.into_iter().map(|key| format!("annotation {key}")));
        // A claim on nothing that is known here is one all the same.
        if fields.is_empty() && !ours.is_empty() {
            fields.insert("status".into());
        }
        Self { fields, annotations, made, others }
    }

    /// The metadata of a merge patch that gives all up; with `strip`, our annotations go too.
    pub fn patch(&self, strip: bool) -> Value {
        // An empty list means no change to the API server; a list of one empty claim means none.
        let others = if self.others.is_empty() { json!([{}]) } else { json!(self.others) };
        let mut patch = json!({"managedFields": others});
        for key in self.annotations.iter().filter(|_| strip) {
            patch["annotations"][key] = Value::Null;
        }
        patch
    }
}

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec: Vec<_> = self.fields.iter().filter(|field| field.starts_with("spec.")).map(String::as_str).collect();
        let rest = self.fields.len() - spec.len();
        match (spec.is_empty(), rest) {
            (false, 0) => write!(f, "{}", spec.join(", ")),
            (false, rest) => write!(f, "{} and {rest} of its metadata", spec.join(", ")),
            (true, rest) => write!(f, "{rest} of its metadata"),
        }
    }
}

/// Applies under our names, and what repairs the virtual IP in the status. An update under our name is somebody else's: the
/// original's, say, whose requests have the name of its binary.
fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    let named = [MANAGER, POLICY_MANAGER].map(Some).contains(&entry.manager.as_deref());
    let of_status = entry.subresource.as_deref() == Some("status");
    named && (entry.operation.as_deref() == Some("Apply") || of_status)
}

fn is_written_by_host(key: &str) -> bool {
    ALL.iter().any(|(known, audience)| *known == key && *audience == Audience::Written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(managed: Value, annotations: Value) -> Claims {
        let metadata = json!({"name": "cart", "annotations": annotations, "managedFields": managed});
        Claims::read(&serde_json::from_value(metadata).unwrap())
    }

    fn ours(manager: &str) -> Value {
        json!({"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {
            "f:metadata": {"f:annotations": {"f:aeraki.net/revision": {}, "f:team": {}}},
            "f:spec": {"f:endpoints": {}, "f:ports": {"k:{\"name\":\"http\"}": {}}}}})
    }

    #[test]
    fn ours_are_told_from_others() {
        let kubectl = json!({"manager": "kubectl", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:hosts": {}}}});
        let original = json!({"manager": "polaris2istio", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:location": {}}}});
        let annotations =
            json!({"aeraki.net/revision": "1", "team": "a", "polaris2istio.aeraki.net/source": "default/cart"});
        let found = claims(json!([kubectl, ours("polaris2istio"), original]), annotations);
        let fields = ["annotation aeraki.net/revision", "annotation team", "spec.endpoints", "spec.ports"];
        assert_eq!(found.fields.iter().map(String::as_str).collect::<Vec<_>>(), fields);
        assert_eq!(found.to_string(), "spec.endpoints, spec.ports and 2 of its metadata");
        let patch = found.patch(true);
        assert_eq!(patch["managedFields"], json!([kubectl, original]));
        // A template's annotation is no note of ours.
        assert_eq!(patch["annotations"], json!({"aeraki.net/revision": null, "polaris2istio.aeraki.net/source": null}));
        assert!(found.patch(false).get("annotations").is_none() && !found.made);
    }

    #[test]
    fn the_originals_revision_is_not_ours() {
        let found = claims(json!([]), json!({"aeraki.net/revision": "1"}));
        assert_eq!(found, Claims::default());
    }

    #[test]
    fn what_nobody_else_claims_is_claimed_by_nobody() {
        let policy = json!({"polaris2istio.aeraki.net/policy": "all"});
        let found = claims(json!([ours("polaris2istio-policy")]), policy.clone());
        assert!(found.made);
        assert_eq!(found.patch(false), json!({"managedFields": [{}]}));
        // Whoever copied the annotation made his entry himself.
        assert!(!claims(json!([]), policy).made);
    }
}
