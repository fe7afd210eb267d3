//! Compares what an entry should hold with what it holds, on the fields that are ours, and says nothing or one apply.
//!
//! The apply carries no field that another manager declared with an equal value, and leaves out a field that another one
//! holds with another value, since force counts for a whole request. What is ours by right is always in it: endpoints,
//! our annotations, and a resolution that was NONE or unset.

mod apply;
mod desired;
mod error;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::annotation::REVISION;
use crate::istio::{Endpoint, Port, Resolution, ServiceEntry};

pub use apply::{Apply, Change, Contested};
pub use desired::Desired;
pub use error::ApplyError;
pub use rules::{AddressRule, EndpointRule, Violation, check};

/// What is to be done with an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Nothing where the entry holds what it should.
    pub apply: Option<Apply>,
    /// Fields that were left to another manager.
    pub contested: Vec<Contested>,
}

/// Plans for an entry as it is.
pub fn plan(desired: &Desired, live: &ServiceEntry) -> Plan {
    let mut draft =
        Draft { desired, live, spec: Map::new(), endpoints: None, change: Change::default(), contested: Vec::new() };
    draft.resolution();
    draft.location();
    draft.ports();
    draft.endpoints();
    let annotations = draft.annotations();
    draft.finish(annotations)
}

impl Plan {
    /// Whether nothing is to be written: the entry holds what it should.
    pub fn is_empty(&self) -> bool {
        self.apply.is_none()
    }
}

struct Draft<'a> {
    desired: &'a Desired,
    live: &'a ServiceEntry,
    spec: Map<String, Value>,
    endpoints: Option<Arc<[Endpoint]>>,
    change: Change,
    contested: Vec<Contested>,
}

impl Draft<'_> {
    fn resolution(&mut self) {
        let live = self.live.spec.resolution;
        let Some(wanted) = self.desired.resolution.or(live) else { return };
        // NONE and unset are placeholders, whoever wrote them.
        let placeholder = live.is_none_or(|value| value == Resolution::None);
        self.field("resolution", json!(wanted), live.map(|value| json!(value)), placeholder);
    }

    fn location(&mut self) {
        let live = self.live.spec.location.map(|value| json!(value));
        match self.desired.location {
            Some(wanted) => self.field("location", json!(wanted), live, false),
            None => self.give_up("location"),
        }
    }

    /// One field right under `spec`, where `forced` says that it is ours whoever else holds it.
    fn field(&mut self, name: &str, wanted: Value, live: Option<Value>, forced: bool) {
        let equal = live.as_ref() == Some(&wanted);
        match self.live.ownership.others_of_spec(name).next() {
            Some(_) if equal => return,
            Some(manager) if !forced => {
                self.contested.push(Contested { field: format!("spec.{name}"), manager: manager.into() });
                return;
            }
            _ => {}
        }
        if !equal {
            self.change.fields.push(format!("spec.{name}"));
        }
        self.spec.insert(name.into(), wanted);
    }

    /// A field that we wrote once and that is no longer ours to say: left out of an apply, it goes.
    fn give_up(&mut self, name: &str) {
        let ownership = &self.live.ownership;
        if ownership.ours_in_spec(name) && ownership.others_of_spec(name).next().is_none() {
            self.change.fields.push(format!("spec.{name}"));
        }
    }

    fn ports(&mut self) {
        let ownership = &self.live.ownership;
        let declared = |name: &str| ownership.others_of_port(name).next().is_some();
        let ours: Vec<&Port> = self.desired.ports.iter().filter(|port| !declared(&port.name)).collect();
        let live: BTreeMap<_, _> = self.live.spec.ports.iter().map(|port| (port.name.as_str(), port)).collect();
        for port in &ours {
            if live.get(port.name.as_str()) != Some(port) {
                self.change.fields.push(format!("spec.ports[{}]", port.name));
            }
        }
        for name in live.keys().filter(|name| ownership.ours_as_port(name) && !declared(name)) {
            if !ours.iter().any(|port| port.name == **name) {
                self.change.fields.push(format!("spec.ports[{name}]"));
            }
        }
        // Without our claim such a port would have a number and no name, and the API server refuses the whole apply.
        let lent = live.iter().filter(|(name, _)| ownership.needs_us_for_port(name)).map(|(_, port)| *port);
        let applied: Vec<&Port> = ours.into_iter().chain(lent).collect();
        if !applied.is_empty() {
            self.spec.insert("ports".into(), json!(applied));
        }
    }

    fn endpoints(&mut self) {
        // The API server forbids the field beside NONE, even `[]`.
        let resolution = self.desired.resolution.or(self.live.spec.resolution);
        if resolution.is_none_or(|resolution| resolution == Resolution::None) {
            return self.give_up("endpoints");
        }
        let (live, desired) = (&self.live.spec.endpoints, &self.desired.endpoints);
        if live[..] != desired[..] {
            let Change { added, removed, changed, .. } = Change::of_endpoints(live, desired);
            (self.change.added, self.change.removed, self.change.changed) = (added, removed, changed);
            self.change.fields.push("spec.endpoints".into());
        }
        self.endpoints = Some(Arc::clone(desired));
    }

    fn annotations(&mut self) -> BTreeMap<String, String> {
        let wanted = &self.desired.annotations;
        for (key, value) in wanted {
            if self.live.annotation(key) != Some(value) {
                self.change.fields.push(format!("metadata.annotations[{key}]"));
            }
        }
        let ownership = &self.live.ownership;
        let gone = ownership.our_annotations().filter(|key| {
            *key != REVISION && !wanted.contains_key(*key) && ownership.others_of_annotation(key).next().is_none()
        });
        self.change.fields.extend(gone.map(|key| format!("metadata.annotations[{key}]")));
        // Another revision of the same content is no reason to write; a missing one is.
        if self.live.annotation(REVISION).is_none() {
            self.change.fields.push(format!("metadata.annotations[{REVISION}]"));
        }
        let mut all = wanted.clone();
        all.insert(REVISION.into(), self.desired.revision.clone());
        all
    }

    fn finish(self, annotations: BTreeMap<String, String>) -> Plan {
        let Self { live, spec, endpoints, change, contested, .. } = self;
        if change.fields.is_empty() {
            return Plan { apply: None, contested };
        }
        let known = &live.metadata;
        let mut metadata = json!({"name": known.name, "namespace": known.namespace, "annotations": annotations});
        for (key, value) in [("uid", &known.uid), ("resourceVersion", &known.resource_version)] {
            if let Some(value) = value {
                metadata[key] = json!(value);
            }
        }
        let apply = Apply {
            namespace: known.namespace.clone().unwrap_or_default(),
            name: known.name.clone().unwrap_or_default(),
            metadata,
            spec,
            endpoints,
            change,
        };
        Plan { apply: Some(apply), contested }
    }
}

#[cfg(test)]
mod tests;
