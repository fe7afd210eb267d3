//! The Services and EndpointSlices that a namespace should hold: the records of all entries together, since those of one
//! Polaris service share a Service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::dns_entry::DnsEntry;
use super::records::{Names, Record};
use super::refusal::Refusal;
use crate::istio::KIND;

/// The label that marks an object as ours: on a slice its entry's uid, on a Service `service`.
pub const LABEL: &str = "polaris2istio.aeraki.net/names";
/// The value of [`LABEL`] on Services.
pub(super) const SHARED: &str = "service";

/// A Service to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WantedService {
    /// The target of an ExternalName; `None` if the Service is headless.
    pub(super) target: Option<String>,
    /// The entries that need it, by uid.
    pub(super) owners: BTreeMap<String, Owner>,
}

/// An EndpointSlice to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WantedSlice {
    pub(super) uid: String,
    pub(super) owner: Owner,
    pub(super) service: String,
    pub(super) hostname: String,
    pub(super) ipv4: bool,
    pub(super) addresses: Vec<IpAddr>,
}

/// An entry, as owner references name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) api_version: String,
    pub(super) name: String,
}

/// The objects that a namespace should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) services: BTreeMap<String, WantedService>,
    pub(super) slices: BTreeMap<String, WantedSlice>,
    /// Entries whose objects stay as they are.
    pub(super) kept: BTreeSet<String>,
}

impl Wanted {
    /// The objects for all entries. Aliases that collide with records are added to the refusals.
    pub(super) fn new(all: &mut [(&DnsEntry, Names)]) -> Self {
        let mut wanted = Self::default();
        // Records come first: an alias of the same name gives way.
        for (entry, names) in all.iter() {
            match &names.records {
                Some(records) => records.iter().for_each(|record| wanted.add_addresses(entry, record)),
                None => drop(wanted.kept.insert(entry.uid.clone())),
            }
        }
        for (entry, names) in all.iter_mut() {
            let aliases = names.records.iter().flatten();
            let refused: Vec<_> = aliases.filter_map(|record| wanted.add_alias(entry, record)).collect();
            names.refusals.extend(refused);
        }
        wanted
    }

    fn add_addresses(&mut self, entry: &DnsEntry, record: &Record) {
        let Record::Addresses { host, service, name, ipv4, addresses } = record else { return };
        let (uid, owner) = (entry.uid.clone(), Owner::of(entry));
        let shared = WantedService { target: None, owners: BTreeMap::new() };
        let shared = self.services.entry(service.clone()).or_insert(shared);
        shared.owners.insert(uid.clone(), owner.clone());
        let slice = WantedSlice {
            uid,
            owner,
            service: service.clone(),
            hostname: name.clone(),
            ipv4: *ipv4,
            addresses: addresses.clone(),
        };
        self.slices.insert(slice_name(&entry.uid, host, service, *ipv4), slice);
    }

    fn add_alias(&mut self, entry: &DnsEntry, record: &Record) -> Option<Refusal> {
        let Record::Alias { host, service, target } = record else { return None };
        let alias = WantedService { target: Some(target.clone()), owners: BTreeMap::new() };
        let there = self.services.entry(service.clone()).or_insert(alias);
        if there.target.as_ref() != Some(target) {
            return Some(Refusal::Taken { host: host.clone(), service: service.clone() });
        }
        there.owners.insert(entry.uid.clone(), Owner::of(entry));
        None
    }
}

/// The name of the slice for an entry, host and family: it tells the Service, and a hash makes it unique.
fn slice_name(uid: &str, host: &str, service: &str, ipv4: bool) -> String {
    let hash = Sha256::digest(format!("{uid} {host}"));
    let hash: String = hash.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("{service}-{}-{hash}", if ipv4 { "ipv4" } else { "ipv6" })
}

impl Owner {
    fn of(entry: &DnsEntry) -> Self {
        Self { api_version: entry.api_version.clone(), name: entry.name.clone() }
    }

    fn reference(&self, uid: &str) -> Value {
        json!({"apiVersion": self.api_version, "kind": KIND, "name": self.name, "uid": uid})
    }
}

impl WantedService {
    /// All fields of it that are ours.
    pub(super) fn body(&self, namespace: &str, name: &str) -> Value {
        let spec = match &self.target {
            Some(target) => json!({"type": "ExternalName", "externalName": target}),
            None => json!({"clusterIP": "None"}),
        };
        let owners: Vec<_> = self.owners.iter().map(|(uid, owner)| owner.reference(uid)).collect();
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: SHARED}, "ownerReferences": owners},
            "spec": spec,
        })
    }
}

impl WantedSlice {
    /// All fields of it that are ours.
    pub(super) fn body(&self, namespace: &str, name: &str) -> Value {
        let endpoints = self
            .addresses
            .iter()
            .map(|address| json!({"addresses": [address], "hostname": self.hostname, "conditions": {"ready": true}}));
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {
                    "kubernetes.io/service-name": self.service,
                    // Keeps Kubernetes' own controllers away from it.
                    "endpointslice.kubernetes.io/managed-by": "polaris2istio.aeraki.net",
                    LABEL: self.uid,
                },
                "ownerReferences": [self.owner.reference(&self.uid)],
            },
            "addressType": if self.ipv4 { "IPv4" } else { "IPv6" },
            "endpoints": endpoints.collect::<Vec<_>>(),
        })
    }
}
