//! The policy as an operator writes it: the CRD `PolarisImport`. Its documentation is what `kubectl explain` says.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::ImportStatus;

/// The pattern of a name or a host: it has `{service}`, so that no two services share one by intent.
macro_rules! pattern {
    () => {
        r"^([a-z0-9.-]|\{namespace\})*\{service\}([a-z0-9.-]|\{service\}|\{namespace\})*$"
    };
}

/// Which services of the registry get a ServiceEntry that nobody writes by hand.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "polaris2istio.aeraki.net",
    version = "v1alpha1",
    kind = "PolarisImport",
    plural = "polarisimports",
    namespaced,
    status = "ImportStatus",
    derive = "PartialEq",
    doc = "Makes a ServiceEntry for every service of a namespace of the Polaris registry that it selects, in its own Kubernetes namespace, and keeps them true to its template. Entries that it did not make are never touched.",
    printcolumn = r#"{"name": "Registry", "type": "string", "jsonPath": ".spec.polarisNamespace", "description": "The namespace of the registry"}"#,
    printcolumn = r#"{"name": "Services", "type": "integer", "jsonPath": ".status.services", "description": "Services that are selected"}"#,
    printcolumn = r#"{"name": "Entries", "type": "integer", "jsonPath": ".status.entries", "description": "Entries that are the policy's"}"#,
    printcolumn = r#"{"name": "Refused", "type": "integer", "jsonPath": ".status.refused", "description": "Services that have no entry, with a reason"}"#,
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[x_kube(
    validation = Rule::new("self.polarisNamespace == oldSelf.polarisNamespace").message(
        "polarisNamespace cannot change: all entries would belong to services of another one; make another policy"
    ),
    validation = Rule::new("self.template.name == oldSelf.template.name").message(
        "template.name cannot change: entries under new names would get other virtual IPs; make another policy"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct PolarisImportSpec {
    /// The namespace of the registry whose services are wanted. It cannot change.
    #[schemars(length(min = 1, max = 128))]
    pub polaris_namespace: String,
    /// Which of its services; all where nothing is said.
    #[serde(default)]
    pub select: Select,
    /// The form of a service's entry.
    pub template: Template,
    /// When the entry of a service is deleted that is gone.
    #[serde(default)]
    pub prune: Prune,
    /// What becomes of the entries when the policy is deleted.
    #[serde(default)]
    pub on_delete: OnDelete,
}

/// What becomes of the entries when their policy is deleted: `Keep` leaves them, and a new policy of the same name has them again;
/// with `Prune` they are deleted at once, and the policy stays until they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum OnDelete {
    #[default]
    Keep,
    Prune,
}

/// Which services of a namespace. All that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Select {
    /// Names of services, as globs: `*` stands for any characters, `?` for one. Without it, any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 128), regex(pattern = r"^[^\[\]\\]+$")))]
    pub names: Option<Vec<String>>,
    /// Names that are left out, as globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 128), regex(pattern = r"^[^\[\]\\]+$")))]
    pub exclude: Vec<String>,
    /// Metadata that a service has in the registry: every key with this value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Conditions on a service's metadata in the registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub match_expressions: Vec<Expression>,
}

/// A condition on metadata.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.operator in ['In', 'NotIn'] ? size(self.values) > 0 : size(self.values) == 0").message(
        "`In` and `NotIn` need values, `Exists` and `DoesNotExist` have none"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct Expression {
    /// The key of the metadata.
    #[schemars(length(min = 1, max = 128))]
    pub key: String,
    /// How its value is compared. A service without the key fits `NotIn` and `DoesNotExist`.
    pub operator: Operator,
    /// The values of `In` and `NotIn`.
    #[serde(default)]
    #[schemars(length(max = 256), inner(length(max = 4096)))]
    pub values: Vec<String>,
}

/// How a value of metadata is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// The form of a service's entry. `{service}` stands for the service's name, `{namespace}` for its namespace in the
/// registry; both are made valid where they are not: lower case, other characters become `-`, and a short hash is appended.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.ports.all(p, self.ports.exists_one(q, q.number == p.number))").message(
        "two ports have one number"
    ),
    validation = Rule::new("self.ports.all(p, self.ports.exists_one(q, q.name == p.name))").message(
        "two ports have one name"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// The entry's name, with `{service}` in it. It cannot change.
    #[serde(default = "default_name")]
    #[schemars(length(max = 128), regex(pattern = pattern!()))]
    pub name: String,
    /// The entry's hosts, each with `{service}` in it, such as `{service}.polaris`.
    #[schemars(length(min = 1, max = 8), inner(length(max = 253), regex(pattern = pattern!())))]
    pub hosts: Vec<String>,
    /// The entry's ports. Where there are none, they are derived from the instances.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub ports: Vec<TemplatePort>,
    /// Inside or outside of the mesh; istiod takes it for outside where nothing is said.
    // Else the schema would have `null` among its words, which kubectl refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TemplateLocation")]
    pub location: Option<TemplateLocation>,
    /// Whether instances have IP addresses (`STATIC`) or names (`DNS`).
    #[serde(default)]
    pub resolution: TemplateResolution,
    /// The namespaces that see the entry; all where nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    pub export_to: Vec<String>,
    /// Labels of the entry, beside `manager: aeraki` and `registry: polaris`, which every entry has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the entry, such as `aeraki.net/dns: records`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A port of an entry.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplatePort {
    /// Its name, a DNS label.
    #[schemars(length(min = 1, max = 62), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// The number that clients connect to.
    #[schemars(range(min = 1, max = 65535))]
    pub number: u32,
    /// The protocol that is spoken.
    pub protocol: TemplateProtocol,
    /// The port of instances that say none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub target_port: Option<u32>,
}

/// A protocol that istiod knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum TemplateProtocol {
    Http,
    Https,
    Http2,
    Grpc,
    GrpcWeb,
    Tcp,
    Tls,
    Mongo,
    Redis,
    Mysql,
    Udp,
}

/// `spec.location` of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TemplateLocation {
    MeshExternal,
    MeshInternal,
}

/// `spec.resolution` of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TemplateResolution {
    #[default]
    Static,
    Dns,
}

/// When the entry of a service is deleted that is gone from the registry, or that is selected no more. Until then it stays as it
/// is, with its virtual IP, and is the service's again if that comes back.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prune {
    /// How long after that: a time such as `24h`, or `never`.
    #[serde(default = "default_after")]
    #[schemars(length(max = 32), regex(pattern = r"^(never|([0-9]+(s|m|h|d))+)$"))]
    pub after: String,
    /// Where more of the policy's entries (and at least five, or all of them) are concerned within a minute, nothing is deleted
    /// and the policy is not ready until they come back, or this is raised. `--fleet-limit` where nothing is said; with `100%`
    /// any number may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(100|[0-9]{1,2})%$"))]
    pub limit: Option<String>,
}

impl Default for Prune {
    fn default() -> Self {
        Self { after: default_after(), limit: None }
    }
}

fn default_name() -> String {
    "{service}".into()
}

fn default_after() -> String {
    "24h".into()
}
