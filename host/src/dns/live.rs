//! An object that carries our label, as a watch shows it.

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::objects::LABEL;
use crate::istio::KIND;
use crate::kube_watch::Watched;

/// All objects of one kind, by name.
pub(super) type Objects = Watched<Live>;

/// An object of ours.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) uid: String,
    pub(super) resource_version: String,
    /// All of it, but for managed fields.
    value: Value,
}

impl Live {
    /// An object by its name.
    pub(super) fn named(object: DynamicObject) -> (String, Self) {
        (object.name_any(), Self::new(object))
    }

    fn new(mut object: DynamicObject) -> Self {
        object.metadata.managed_fields = None;
        Self {
            uid: object.uid().unwrap_or_default(),
            resource_version: object.resource_version().unwrap_or_default(),
            value: json!(object),
        }
    }

    /// The uids of the entries that it exists for: by its label, and its owner references.
    pub(super) fn entries(&self) -> impl Iterator<Item = &str> {
        let label = self.value["metadata"]["labels"][LABEL].as_str();
        let owners = self.owners().filter_map(|owner| owner["uid"].as_str());
        label.filter(|label| *label != super::objects::SHARED).into_iter().chain(owners)
    }

    /// Whether it has all of our fields, and no owner too many.
    pub(super) fn holds(&self, body: &Value) -> bool {
        let wanted = body["metadata"]["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
        let owners: Vec<_> = self.owners().collect();
        let owned =
            wanted.len() == owners.len() && wanted.iter().all(|owner| owners.iter().any(|live| covers(live, owner)));
        owned && covers_but_owners(&self.value, body)
    }

    /// Whether it is of another sort, so that it cannot be changed into the wanted one.
    pub(super) fn is_other_sort(&self, body: &Value) -> bool {
        let sort = |object: &Value| object["spec"]["type"].as_str() == Some("ExternalName");
        sort(&self.value) != sort(body)
    }

    fn owners(&self) -> impl Iterator<Item = &Value> {
        let all = self.value["metadata"]["ownerReferences"].as_array();
        all.into_iter().flatten().filter(|owner| owner["kind"] == KIND)
    }
}

fn covers_but_owners(live: &Value, body: &Value) -> bool {
    let fields = body.as_object().into_iter().flatten();
    fields.into_iter().all(|(key, wanted)| match key.as_str() {
        "metadata" => covers(&live[key]["labels"], &wanted["labels"]),
        _ => covers(&live[key], wanted),
    })
}

/// Whether all of `wanted` is in `live`; lists are the same in full length.
fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (live, Value::Object(fields)) => fields.iter().all(|(key, wanted)| covers(&live[key], wanted)),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        (live, wanted) => live == wanted,
    }
}
