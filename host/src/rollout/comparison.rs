//! The difference that another module makes to one case.

use std::collections::BTreeMap;

use polaris2istio_core::model::{Port, Update};
use serde::{Deserialize, Serialize};

use super::{EndpointChange, JudgedOutcome};
use crate::istio::{Location, Resolution};

/// The result of comparing one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The entry would hold the same, or be rejected as before.
    Unchanged,
    /// It would hold something else.
    Changed,
    /// B rejects the case, and A converts it.
    NewlyRejected,
    /// B fails, or the host refuses its outcome.
    Failed,
}

/// One case, compared. Diagnostics and content revisions do not count: the entry does not hold them.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The name of the case.
    pub case: String,
    pub status: Status,
    pub endpoints: EndpointChange,
    /// Other fields that differ, as `spec.resolution STATIC -> DNS`.
    pub fields: Vec<String>,
    /// The reasons why B rejects or fails, or why A did.
    pub reasons: Vec<String>,
}

impl Status {
    pub fn words(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::NewlyRejected => "newly rejected",
            Self::Failed => "failed",
        }
    }
}

impl Comparison {
    /// Compares the outcomes of two modules.
    pub fn of(case: String, a: JudgedOutcome, b: JudgedOutcome) -> Self {
        let mut found =
            Self { case, status: Status::Unchanged, endpoints: Default::default(), fields: vec![], reasons: vec![] };
        found.status = match (a, b) {
            (_, JudgedOutcome::Failed(reason)) => found.give_reasons(Status::Failed, [reason]),
            (JudgedOutcome::Rejected(_), JudgedOutcome::Rejected(_)) => Status::Unchanged,
            (JudgedOutcome::Update(_), JudgedOutcome::Rejected(errors)) => {
                found.give_reasons(Status::NewlyRejected, errors)
            }
            (JudgedOutcome::Failed(reason), JudgedOutcome::Rejected(errors)) => {
                found.give_reasons(Status::NewlyRejected, errors.into_iter().chain([format!("A failed: {reason}")]))
            }
            (JudgedOutcome::Update(a), JudgedOutcome::Update(b)) => found.compare(&a, &b),
            // The content of the entry is unknown then, so everything that B gives is new.
            (JudgedOutcome::Rejected(errors), JudgedOutcome::Update(b)) => {
                found.compare(&nothing(), &b);
                found.give_reasons(Status::Changed, errors.into_iter().map(|error| format!("A rejected: {error}")))
            }
            (JudgedOutcome::Failed(reason), JudgedOutcome::Update(b)) => {
                found.compare(&nothing(), &b);
                found.give_reasons(Status::Changed, [format!("A failed: {reason}")])
            }
        };
        found
    }

    /// Whether something of the entry itself would be another than it is, beside annotations.
    pub(super) fn is_reshaped(&self) -> bool {
        self.fields.iter().any(|field| field.starts_with("spec."))
    }

    fn give_reasons(&mut self, status: Status, reasons: impl IntoIterator<Item = String>) -> Status {
        self.reasons.extend(reasons);
        status
    }

    fn compare(&mut self, a: &Update, b: &Update) -> Status {
        self.endpoints = EndpointChange::of(&a.endpoints, &b.endpoints);
        self.compare_field("spec.resolution", a.resolution.map(Resolution::from), b.resolution.map(Resolution::from));
        self.compare_field("spec.location", a.location.map(Location::from), b.location.map(Location::from));
        let ports = |update: &Update| -> BTreeMap<String, String> {
            let target = |port: Option<u32>| port.map(|port| format!(" -> {port}")).unwrap_or_default();
            let port = |port: &Port| {
                (
                    format!("spec.ports[{}]", port.name),
                    format!("{} {}{}", port.number, port.protocol, target(port.target_port)),
                )
            };
            update.ports.iter().map(port).collect()
        };
        self.compare_maps(&ports(a), &ports(b));
        let annotations = |update: &Update| -> BTreeMap<String, String> {
            let named = |(key, value): &(String, String)| (format!("metadata.annotations[{key}]"), value.clone());
            update.annotations.iter().map(named).collect()
        };
        self.compare_maps(&annotations(a), &annotations(b));
        if self.endpoints.is_empty() && self.fields.is_empty() { Status::Unchanged } else { Status::Changed }
    }

    /// A field that an update may leave as it is.
    fn compare_field(&mut self, name: &str, a: Option<impl Serialize>, b: Option<impl Serialize>) {
        let (a, b) = (words(a), words(b));
        if a != b {
            self.fields.push(format!("{name}: {a} -> {b}"));
        }
    }

    fn compare_maps(&mut self, a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) {
        let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
        for key in keys {
            match (a.get(key), b.get(key)) {
                (Some(a), Some(b)) if a != b => self.fields.push(format!("{key}: {a} -> {b}")),
                (Some(a), None) => self.fields.push(format!("{key}: {a} -> none")),
                (None, Some(b)) => self.fields.push(format!("{key}: none -> {b}")),
                _ => {}
            }
        }
    }
}

/// A value as the entry has it.
fn words(value: Option<impl Serialize>) -> String {
    let value = value.and_then(|value| serde_json::to_value(value).ok());
    value.as_ref().and_then(|value| value.as_str()).unwrap_or("left as it is").into()
}

/// An update that says nothing.
fn nothing() -> Update {
    Update {
        resolution: None,
        location: None,
        ports: vec![],
        endpoints: vec![],
        annotations: vec![],
        content_revision: None,
    }
}
