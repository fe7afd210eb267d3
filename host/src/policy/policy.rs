//! A policy as it is carried out, wherever it came from.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::import::{OnDelete, PolarisImport, PolarisImportSpec};
use super::status::ImportStatus;

/// The finalizer of a policy whose entries go with it.
pub const FINALIZER: &str = "polaris2istio.aeraki.net/prune";
/// How long after a policy was deleted its entries go: long enough to see that it goes together with its whole kind, which
/// nobody means for them.
const KIND_TELLS: Duration = Duration::from_secs(5);

/// A policy as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub name: String,
    pub uid: String,
    pub generation: i64,
    pub created: Option<Timestamp>,
    pub spec: PolarisImportSpec,
    pub status: ImportStatus,
    /// Why its document cannot be understood.
    pub fault: Option<String>,
    /// Since when it is being deleted.
    pub deleting: Option<Timestamp>,
    /// Who has it stay when it is deleted: with [`FINALIZER`], it stays until its entries are gone.
    pub finalizers: Vec<String>,
    pub resource_version: String,
}

impl Policy {
    /// Reads an object.
    pub fn new(object: &PolarisImport) -> Self {
        let metadata = &object.metadata;
        Self {
            name: object.name_any(),
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            spec: object.spec.clone(),
            status: object.status.clone().unwrap_or_default(),
            fault: None,
            deleting: metadata.deletion_timestamp.as_ref().map(|time| time.0),
            finalizers: object.finalizers().to_vec(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
        }
    }

    /// Whether anything but the status differs, which is ours alone.
    pub fn differs(&self, other: &Self) -> bool {
        let Self { status, resource_version, .. } = other.clone();
        Self { status, resource_version, ..self.clone() } != *other
    }

    /// Whether all its entries are to go, as it is being deleted.
    pub fn prunes_all(&self) -> bool {
        self.deleting.is_some() && self.is_kept() && self.spec.on_delete == OnDelete::Prune
    }

    fn is_kept(&self) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
    }

    /// Its finalizers with ours, or without; others stay.
    pub fn finalizers(&self, keep: bool) -> Vec<String> {
        let mut finalizers = others(&self.finalizers);
        finalizers.extend(keep.then(|| FINALIZER.to_owned()));
        finalizers
    }

    /// How long its entries stay yet, once all are to go.
    pub fn grace(&self, now: Timestamp) -> Duration {
        let since = self.deleting.and_then(|since| Duration::try_from(now.duration_since(since)).ok());
        KIND_TELLS.saturating_sub(since.unwrap_or_default())
    }

    /// Whether it has to be held now, or let go; `None` if it is as it should be.
    pub fn to_be_kept(&self, entries: usize, kind_stays: bool) -> Option<bool> {
        let wanted = self.spec.on_delete == OnDelete::Prune;
        let keep = match self.deleting {
            Some(_) => wanted && kind_stays && entries > 0,
            None => wanted,
        };
        // What is being deleted takes no finalizer any more.
        let kept = self.is_kept();
        (kept != keep && (self.deleting.is_none() || kept)).then_some(keep)
    }
}

/// The finalizers that are not ours.
pub fn others(finalizers: &[String]) -> Vec<String> {
    finalizers.iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_stays_for_as_long_as_entries_go_with_it() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |prune: bool, kept: bool, deleting: bool, entries: usize, stays: bool, expected: Option<bool>| {
            let on_delete = if prune { "Prune" } else { "Keep" };
            let finalizers = if kept { vec![FINALIZER] } else { vec![] };
            let object = json!({
                "apiVersion": "polaris2istio.aeraki.net/v1alpha1", "kind": "PolarisImport",
                "metadata": {"name": "shop", "finalizers": finalizers, "deletionTimestamp": deleting.then_some(now.to_string())},
                "spec": {"polarisNamespace": "default", "template": {"hosts": ["{service}.polaris"]}, "onDelete": on_delete},
            });
            let policy = Policy::new(&serde_json::from_value(object).unwrap());
            assert_eq!(policy.to_be_kept(entries, stays), expected, "{policy:?}");
        };
        check(false, false, false, 9, true, None);
        check(true, false, false, 0, true, Some(true));
        check(true, true, false, 9, true, None);
        check(false, true, false, 9, true, Some(false));
        check(true, true, true, 9, true, None);
        check(true, true, true, 0, true, Some(false));
        // The CRD goes: its policies go, the entries stay.
        check(true, true, true, 9, false, Some(false));
        check(true, false, true, 9, true, None);
        check(false, true, true, 9, true, Some(false));
    }
}
