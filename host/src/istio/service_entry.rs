//! A ServiceEntry as far as this controller reads it.
//!
//! Hand-written and lenient: a field that a newer Istio adds must not break the watch, since one object that cannot be
//! decoded stops kube's watcher for all. Schema: <https://istio.io/latest/docs/reference/config/networking/service-entry/>.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ApiResource;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::ownership::Ownership;
use super::pairs::Pairs;
use crate::title::title;

/// The API group of ServiceEntry.
pub const GROUP: &str = "networking.istio.io";
/// The versions that are understood, the preferred one first. They share one schema.
pub const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha3"];
pub const KIND: &str = "ServiceEntry";
/// The plural, as RBAC and URLs have it.
pub const PLURAL: &str = "serviceentries";

#[derive(Clone, Debug, Default, Deserialize)]
pub struct ServiceEntry {
    /// Kubernetes metadata; `managedFields` are condensed into [`Self::ownership`] and dropped.
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: Spec,
    /// The status, which istiod writes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub status: Status,
    /// The managers of the fields that this controller writes.
    #[serde(skip)]
    pub ownership: Ownership,
}

/// `spec` of a ServiceEntry.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// DNS names.
    #[serde(default, deserialize_with = "null_as_default")]
    pub hosts: Vec<String>,
    /// Virtual IPs, written by the operator or by Aeraki; never by this controller.
    #[serde(default, deserialize_with = "null_as_default")]
    pub addresses: Vec<String>,
    /// Service ports.
    #[serde(default, deserialize_with = "null_as_default")]
    pub ports: Vec<Port>,
    /// Inside or outside of the mesh.
    #[serde(default)]
    pub location: Option<Location>,
    /// The way in which addresses are found; unset means NONE.
    #[serde(default)]
    pub resolution: Option<Resolution>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub endpoints: Vec<Endpoint>,
    /// Selects workloads by label, which excludes endpoints.
    #[serde(default)]
    pub workload_selector: Option<Value>,
    /// Namespaces that see the entry.
    #[serde(default, deserialize_with = "null_as_default")]
    pub export_to: Vec<String>,
}

/// `status` of a ServiceEntry, which istiod writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// Virtual IPs; empty if istiod has given up on them, `None` if it has written nothing.
    #[serde(default)]
    pub addresses: Option<Vec<HostAddress>>,
}

/// A virtual IP of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct HostAddress {
    /// One of `spec.hosts`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub host: String,
    /// An IPv4 or IPv6 address.
    #[serde(default, deserialize_with = "null_as_default")]
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Unique in the entry.
    pub name: String,
    /// 1 to 65535.
    pub number: u32,
    /// The protocol; empty if it was left out.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// The endpoints' port if they name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_port: Option<u32>,
}

/// An endpoint. Fields that this controller never writes are kept, so that a foreign one counts as a difference.
#[derive(Clone, Debug, Default, PartialEq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// An IP address, or a name if the resolution is DNS.
    #[serde(default, deserialize_with = "null_as_default")]
    pub address: String,
    /// Service port name -> port.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Pairs::is_empty")]
    pub ports: Pairs<u32>,
    /// Labels that DestinationRules select by.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Pairs::is_empty")]
    pub labels: Pairs<String>,
    /// `region/zone/subzone`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub locality: String,
    /// The service account that the workload runs as: proxies speak mutual TLS to it.
    #[serde(rename = "serviceAccount")]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub service_account: String,
    /// The network that it is in.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// Share of the traffic; none counts 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// `spec.resolution`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Resolution {
    /// Addresses are taken as the client gave them; no endpoints may be there.
    None,
    /// Endpoints are IP addresses.
    Static,
    /// Endpoints may be names.
    Dns,
    /// One name, its addresses in turn.
    DnsRoundRobin,
    /// Names by wildcard (Istio 1.28).
    DynamicDns,
    /// One that this release does not know.
    #[serde(other)]
    Unknown,
}

/// `spec.location`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Location {
    /// Outside: mTLS is not expected.
    MeshExternal,
    /// Inside.
    MeshInternal,
    /// One that this release does not know.
    #[serde(other)]
    Unknown,
}

impl ServiceEntry {
    /// The API resource in one of the [`VERSIONS`].
    pub fn resource(version: &str) -> ApiResource {
        ApiResource {
            group: GROUP.into(),
            version: version.into(),
            api_version: format!("{GROUP}/{version}"),
            kind: KIND.into(),
            plural: PLURAL.into(),
        }
    }

    /// Condenses `managedFields` into the ownership, and drops them: they are most of an object's memory.
    pub fn condense(&mut self) {
        if let Some(fields) = self.metadata.managed_fields.take() {
            self.ownership = Ownership::from_managed_fields(&fields);
        }
    }

    /// `namespace/name`, as messages have it.
    pub fn title(&self) -> String {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        title(part(&self.metadata.namespace), part(&self.metadata.name))
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }
}

/// The API version is known only once the server was asked, so it is passed as a value.
impl kube::Resource for ServiceEntry {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Reads an explicit `null` as the default: YAML gives it for a key without a value.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
