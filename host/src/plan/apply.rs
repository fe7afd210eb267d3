//! One server-side apply: its body, and what it changes, for the log line.

use std::fmt;

use serde_json::Value;

use crate::istio::Endpoint;

/// What the sink is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// Namespace of the entry.
    pub namespace: String,
    /// Name of the entry.
    pub name: String,
    /// The apply configuration but for `apiVersion` and `kind`, which the sink knows: metadata with `uid` and
    /// `resourceVersion`, the annotations and the `spec` fields that are ours.
    pub body: Value,
    /// What it changes.
    pub change: Change,
}

/// The difference that an apply makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Endpoints that come.
    pub added: usize,
    /// Endpoints that go.
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
    /// Who holds it.
    pub manager: String,
}

impl Change {
    /// Compares endpoints by what makes them one: address and ports.
    pub(super) fn of_endpoints(live: &[Endpoint], desired: &[Endpoint]) -> Self {
        use std::collections::HashMap;
        let identity = |endpoint: &Endpoint| {
            let ports: Vec<_> = endpoint.ports.iter().map(|(name, port)| format!("{name}={port}")).collect();
            format!("{}|{}", endpoint.address, ports.join(","))
        };
        let mut before: HashMap<String, Vec<&Endpoint>> = HashMap::new();
        for endpoint in live {
            before.entry(identity(endpoint)).or_default().push(endpoint);
        }
        let mut change = Self::default();
        for endpoint in desired {
            match before.get_mut(&identity(endpoint)).and_then(Vec::pop) {
                None => change.added += 1,
                Some(old) if old != endpoint => change.changed += 1,
                Some(_) => {}
            }
        }
        change.removed = before.values().map(Vec::len).sum();
        change
    }
}

impl fmt::Display for Contested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is held by the field manager `{}`", self.field, self.manager)
    }
}
