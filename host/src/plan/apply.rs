//! One server-side apply: its body, and its changes for the log line.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::istio::{Endpoint, Pairs};
use crate::text::counted;

/// The write that the sink is to perform.
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// Namespace of the entry.
    pub namespace: String,
    /// Name of the entry.
    pub name: String,
    /// Name, namespace, `uid`, `resourceVersion` and our annotations.
    pub(super) metadata: Value,
    /// The `spec` fields that are ours, but for endpoints.
    pub(super) spec: Map<String, Value>,
    /// The endpoints, if the resolution allows the field. As JSON they are ten times as large, so they become JSON only when
    /// they are sent: a thousand applies may be waiting.
    pub(super) endpoints: Option<Arc<[Endpoint]>>,
    pub change: Change,
}

/// The difference that an apply makes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Change {
    pub added: usize,
    pub removed: usize,
    /// Endpoints of the same address and ports with other weight, labels or locality.
    pub changed: usize,
    /// Other fields that change, by path.
    pub fields: Vec<String>,
}

/// A field that is left out because another manager holds another value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contested {
    /// Path of the field.
    pub field: String,
    /// The field manager that holds it.
    pub manager: String,
}

impl Apply {
    /// The apply configuration, but for `apiVersion` and `kind`, which the sink knows.
    pub fn body(&self) -> Value {
        let mut body = json!({"metadata": self.metadata});
        let mut spec = self.spec.clone();
        if let Some(endpoints) = &self.endpoints {
            spec.insert("endpoints".into(), json!(**endpoints));
        }
        if !spec.is_empty() {
            body["spec"] = Value::Object(spec);
        }
        body
    }

    /// The version of the entry that it was planned for.
    pub fn resource_version(&self) -> Option<&str> {
        self.metadata.get("resourceVersion")?.as_str()
    }
}

impl Change {
    /// Compares endpoints by address and ports, which identify them.
    pub(super) fn of_endpoints(live: &[Endpoint], desired: &[Endpoint]) -> Self {
        let mut before: HashMap<(&str, &Pairs<u32>), Vec<&Endpoint>> = HashMap::new();
        for endpoint in live {
            before.entry((&endpoint.address, &endpoint.ports)).or_default().push(endpoint);
        }
        let mut change = Self::default();
        for endpoint in desired {
            match before.get_mut(&(endpoint.address.as_str(), &endpoint.ports)).and_then(Vec::pop) {
                None => change.added += 1,
                Some(old) if old != endpoint => change.changed += 1,
                Some(_) => {}
            }
        }
        change.removed = before.values().map(Vec::len).sum();
        change
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} added, {} removed, {} changed", counted(self.added, "endpoint"), self.removed, self.changed)?;
        if self.fields.is_empty() { Ok(()) } else { write!(f, "; {}", self.fields.join(", ")) }
    }
}

impl fmt::Display for Contested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is held by the field manager `{}`", self.field, self.manager)
    }
}
