//! The managers that declared the fields of a ServiceEntry which this controller writes, from `metadata.managedFields`.
//!
//! Server-side apply records it (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>);
//! the plan needs it to leave alone the fields of others, and to know its own.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

/// The field manager of this controller.
pub const MANAGER: &str = "polaris2istio";

/// The managers of an entry's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    claims: Vec<Claim>,
    /// Ports of which others declared parts but none declared the name.
    partial_ports: BTreeSet<String>,
}

/// The fields that one manager declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub manager: String,
    /// Whether it is this controller.
    pub ours: bool,
    pub ports: Ports,
    /// Fields right under `spec` other than ports (`endpoints`, `resolution` ...).
    pub spec: BTreeSet<String>,
    /// Annotation keys.
    pub annotations: BTreeSet<String>,
}

/// The ports that a manager declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    #[default]
    None,
    /// The whole list, as an atomic field: by an API server with CRDs from before Istio 1.24.
    All,
    /// These, by name.
    Named(BTreeSet<String>),
}

impl Ports {
    fn contain(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(names) => names.contains(name),
        }
    }
}

impl Ownership {
    /// Ownership from claims, for sources that have no `managedFields`.
    pub fn new(claims: Vec<Claim>) -> Self {
        Self { claims, partial_ports: BTreeSet::new() }
    }

    /// Reads `metadata.managedFields`; claims on the status are not of interest.
    pub fn from_managed_fields(fields: &[ManagedFieldsEntry]) -> Self {
        let main = fields.iter().filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty());
        let (mut claims, mut named, mut partial) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for entry in main {
            let claim = claim(entry);
            if !claim.ours {
                for (name, fields) in port_claims(entry) {
                    let whole = fields.get(".").is_some() || fields.get("f:name").is_some();
                    if whole {
                        named.insert(name)
                    } else {
                        partial.insert(name)
                    };
                }
            }
            claims.push(claim);
        }
        Self { claims, partial_ports: partial.difference(&named).cloned().collect() }
    }

    /// Managers other than this controller that declared a field right under `spec`.
    pub fn others_of_spec(&self, field: &str) -> impl Iterator<Item = &str> {
        self.others(move |claim| claim.spec.contains(field))
    }

    /// Managers other than this controller that declared a port.
    pub fn others_of_port(&self, name: &str) -> impl Iterator<Item = &str> {
        self.others(move |claim| claim.ports.contain(name))
    }

    /// Managers other than this controller that declared an annotation.
    pub fn others_of_annotation(&self, key: &str) -> impl Iterator<Item = &str> {
        self.others(move |claim| claim.annotations.contains(key))
    }

    /// Whether this controller declared a field right under `spec`.
    pub fn ours_in_spec(&self, field: &str) -> bool {
        self.ours().any(|claim| claim.spec.contains(field))
    }

    /// Whether this controller declared a port.
    pub fn ours_as_port(&self, name: &str) -> bool {
        self.ours().any(|claim| claim.ports.contain(name))
    }

    /// Whether a port that this controller declared would lose its name with our claim: other managers declared parts of it
    /// only, as a client-side apply does, which claims just the fields that it changed.
    pub fn needs_us_for_port(&self, name: &str) -> bool {
        self.ours_as_port(name) && self.partial_ports.contains(name)
    }

    /// The annotations that this controller declared.
    pub fn our_annotations(&self) -> impl Iterator<Item = &str> {
        self.ours().flat_map(|claim| claim.annotations.iter().map(String::as_str))
    }

    /// What each manager declared.
    pub(super) fn claims(&self) -> &[Claim] {
        &self.claims
    }

    fn ours(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().filter(|claim| claim.ours)
    }

    fn others(&self, owns: impl Fn(&Claim) -> bool) -> impl Iterator<Item = &str> {
        self.claims.iter().filter(move |claim| !claim.ours && owns(claim)).map(|claim| claim.manager.as_str())
    }
}

fn claim(entry: &ManagedFieldsEntry) -> Claim {
    let manager = entry.manager.clone().unwrap_or_default();
    let ours = manager == MANAGER && entry.operation.as_deref() == Some("Apply");
    let fields = entry.fields_v1.as_ref().map_or(&Value::Null, |fields| &fields.0);
    Claim {
        manager,
        ours,
        ports: ports(fields.pointer("/f:spec/f:ports")),
        spec: keys(fields.get("f:spec"), "f:").filter(|field| field != "ports").collect(),
        annotations: keys(fields.pointer("/f:metadata/f:annotations"), "f:").collect(),
    }
}

fn ports(field: Option<&Value>) -> Ports {
    let Some(field) = field else { return Ports::None };
    let names: BTreeSet<_> = keys(Some(field), "k:").filter_map(|key| port_name(&key)).collect();
    // A granular list always has its keys; a bare `{}` is an atomic one.
    if names.is_empty() && field.as_object().is_some_and(serde_json::Map::is_empty) {
        Ports::All
    } else {
        Ports::Named(names)
    }
}

/// The ports in a manager's fields, with the fields of each.
fn port_claims(entry: &ManagedFieldsEntry) -> impl Iterator<Item = (String, &Value)> {
    let ports = entry.fields_v1.as_ref().and_then(|fields| fields.0.pointer("/f:spec/f:ports")?.as_object());
    ports.into_iter().flatten().filter_map(|(key, fields)| Some((port_name(key.strip_prefix("k:")?)?, fields)))
}

/// The name in a list key such as `{"name":"http"}`.
fn port_name(key: &str) -> Option<String> {
    let key: Value = serde_json::from_str(key).ok()?;
    Some(key.get("name")?.as_str()?.to_owned())
}

fn keys<'a>(fields: Option<&'a Value>, prefix: &'static str) -> impl Iterator<Item = String> + 'a {
    let object = fields.and_then(Value::as_object);
    object
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .filter_map(move |key| key.strip_prefix(prefix))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ownership(fields: Value) -> Ownership {
        let fields: Vec<ManagedFieldsEntry> = serde_json::from_value(fields).unwrap();
        Ownership::from_managed_fields(&fields)
    }

    #[test]
    fn tells_ours_from_others() {
        let ownership = ownership(json!([
            {"manager": "kubectl", "operation": "Apply", "fieldsV1": {
                "f:metadata": {"f:annotations": {"f:team": {}}},
                "f:spec": {"f:hosts": {}, "f:resolution": {}, "f:ports": {"k:{\"name\":\"http\"}": {".": {}, "f:number": {}}}}}},
            {"manager": "polaris2istio", "operation": "Apply", "fieldsV1": {
                "f:metadata": {"f:annotations": {"f:aeraki.net/revision": {}}},
                "f:spec": {"f:endpoints": {}, "f:ports": {"k:{\"name\":\"tcp\"}": {".": {}}}}}},
            {"manager": "polaris2istio", "operation": "Update", "subresource": "status", "fieldsV1": {"f:spec": {"f:location": {}}}},
        ]));
        assert_eq!(ownership.others_of_spec("resolution").collect::<Vec<_>>(), ["kubectl"]);
        assert_eq!(ownership.others_of_spec("endpoints").count(), 0);
        assert!(ownership.ours_in_spec("endpoints"));
        assert!(!ownership.ours_in_spec("location"), "claims on the status are left out");
        assert!(ownership.ours_as_port("tcp") && !ownership.ours_as_port("http"));
        assert_eq!(ownership.others_of_port("http").collect::<Vec<_>>(), ["kubectl"]);
        assert_eq!(ownership.our_annotations().collect::<Vec<_>>(), ["aeraki.net/revision"]);
    }

    #[test]
    fn an_atomic_list_of_ports_is_owned_whole() {
        let ownership = ownership(json!([
            {"manager": "aeraki", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {}}}},
        ]));
        assert_eq!(ownership.others_of_port("anything").collect::<Vec<_>>(), ["aeraki"]);
    }

    #[test]
    fn an_update_under_our_name_is_not_ours() {
        let ownership = ownership(json!([
            {"manager": "polaris2istio", "operation": "Update", "fieldsV1": {"f:spec": {"f:endpoints": {}}}},
        ]));
        assert!(!ownership.ours_in_spec("endpoints"));
    }
}
