//! The fields of an entry that names need: far fewer than the entry has, so that keeping all entries costs little.

use std::net::IpAddr;

use crate::annotation::{DNS, DNS_TARGET};
use crate::istio::{Resolution, ServiceEntry};
use crate::title::title;

/// The label by which an operator tells istiod to allocate nothing.
const OPT_OUT: &str = "networking.istio.io/enable-autoallocate-ip";

/// An entry that may have names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsEntry {
    /// `metadata.uid`; empty if the entry comes from a file.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `apiVersion` that owner references name.
    pub api_version: String,
    pub namespace: String,
    pub name: String,
    /// The annotation [`DNS`].
    pub dns: Option<String>,
    /// The annotation [`DNS_TARGET`].
    pub target: Option<String>,
    /// `spec.hosts`.
    pub hosts: Vec<String>,
    /// `spec.addresses`.
    pub addresses: Vec<String>,
    /// `status.addresses`, by host; `None` if istiod has not written the field.
    pub allocated: Option<Vec<(String, String)>>,
    /// The addresses of `spec.endpoints`.
    pub endpoints: Vec<String>,
    /// Whether an instance is found by address or by name, so that istiod gives a virtual IP.
    pub resolved: bool,
    /// Whether the operator asked istiod to give none.
    pub opted_out: bool,
}

impl DnsEntry {
    /// Reads an entry, which has this API version.
    pub fn new(entry: &ServiceEntry, api_version: &str) -> Self {
        let metadata = &entry.metadata;
        let label = metadata.labels.as_ref().and_then(|labels| labels.get(OPT_OUT));
        let allocated = entry.status.addresses.as_ref();
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            api_version: api_version.into(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            dns: entry.annotation(DNS).map(str::to_owned),
            target: entry.annotation(DNS_TARGET).map(str::to_owned),
            hosts: entry.spec.hosts.clone(),
            addresses: entry.spec.addresses.clone(),
            allocated: allocated.map(|all| all.iter().map(|one| (one.host.clone(), one.value.clone())).collect()),
            endpoints: entry.spec.endpoints.iter().map(|endpoint| endpoint.address.clone()).collect(),
            resolved: matches!(entry.spec.resolution, Some(Resolution::Static | Resolution::Dns)),
            opted_out: label.is_some_and(|value| value == "false"),
        }
    }

    /// `namespace/name`, as messages have it.
    pub fn title(&self) -> String {
        title(&self.namespace, &self.name)
    }

    /// The virtual IPs of a host: those of istiod, and for a family of which istiod gave none, those that the operator wrote.
    pub(super) fn virtual_ips(&self, host: &str) -> Vec<IpAddr> {
        let given = self.allocated.iter().flatten().filter(|(of, _)| of == host).map(|(_, address)| address.as_str());
        let mut all: Vec<IpAddr> = given.filter_map(read).collect();
        let written: Vec<IpAddr> = self.addresses.iter().filter_map(|address| read(address)).collect();
        for ipv4 in [true, false] {
            if !all.iter().any(|address| address.is_ipv4() == ipv4) {
                all.extend(written.iter().filter(|address| address.is_ipv4() == ipv4));
            }
        }
        all
    }

    /// Whether istiod took this entry's virtual IP away and does not allocate again (`lost_vip.rs`), though the entry has
    /// a form that wants one. <https://github.com/istio/istio/blob/master/pilot/pkg/controllers/ipallocate/ipallocate.go>
    pub fn has_lost_vip(&self) -> bool {
        let wants = self.resolved && !self.opted_out && self.addresses.is_empty();
        let named = self.hosts.iter().any(|host| !host.starts_with('*'));
        wants && named && self.allocated.as_ref().is_some_and(Vec::is_empty)
    }
}

/// Reads one address. A range counts as one if it has a single address.
fn read(text: &str) -> Option<IpAddr> {
    let single = text.strip_suffix("/32").filter(|text| !text.contains(':'));
    single.or_else(|| text.strip_suffix("/128")).unwrap_or(text).parse().ok()
}
