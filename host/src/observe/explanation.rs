//! The fate of every instance of a service in one conversion, with the reasons: what `explain` prints, offline and of a running
//! controller, and what the page shows.

use polaris2istio_core::address::Address;
use polaris2istio_core::model::{Diagnostic, Instance, Outcome, Service, Severity, Subject, Update};
use serde::{Deserialize, Serialize};

use crate::controller::line;
use crate::rollout::line as endpoint_line;
use crate::title::title;

/// The fate of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// `namespace/name`.
    pub entry: String,
    /// The service, with a word on it if it does not exist.
    pub service: String,
    /// The module's word in a few words.
    pub verdict: String,
    /// By address.
    pub instances: Vec<Fate>,
    /// Remarks that concern no single instance.
    pub notes: Vec<Reason>,
}

/// The fate of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fate {
    pub id: String,
    pub host: String,
    pub port: u32,
    pub protocol: String,
    pub weight: u32,
    pub healthy: bool,
    pub isolated: bool,
    /// Address and ports; null if it is left out.
    pub endpoint: Option<String>,
    /// Whether the entry has an endpoint of this address and port now; `None` if that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<bool>,
    pub reasons: Vec<Reason>,
}

/// A sentence on something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// One word.
    pub code: String,
    pub text: String,
}

impl Explanation {
    /// The explanation of an outcome; without an update the module rejects.
    pub fn new(entry: String, service: &Service, missing: bool, outcome: &Outcome, update: Option<&Update>) -> Self {
        // What stands at one address stands together.
        let mut instances: Vec<_> = (0..).zip(&service.instances).collect();
        instances.sort_by_key(|&(_, instance)| {
            let address = Address::read(&instance.host);
            (address.is_none(), address, &instance.host, instance.port)
        });
        let notes = outcome.diagnostics.iter().filter(|diagnostic| !matches!(diagnostic.subject, Subject::Instance(_)));
        let fates = instances.into_iter();
        Self {
            entry,
            service: title(&service.namespace, &service.name) + if missing { " (does not exist)" } else { "" },
            verdict: if update.is_some() { "converted" } else { "rejected: the entry is left as it is" }.into(),
            instances: fates.map(|(position, one)| Fate::new(position, one, update, &outcome.diagnostics)).collect(),
            notes: notes.map(|one| Reason::new(one.severity, &one.code, line(one, service))).collect(),
        }
    }
}

impl Fate {
    fn new(position: u32, instance: &Instance, update: Option<&Update>, diagnostics: &[Diagnostic]) -> Self {
        let mut endpoints = update.into_iter().flat_map(|update| &update.endpoints);
        let endpoint = endpoints.find(|endpoint| endpoint.instances.contains(&position));
        let about = diagnostics.iter().filter(|diagnostic| diagnostic.subject == Subject::Instance(position));
        let text = |diagnostic: &Diagnostic| match diagnostic.remedy.as_str() {
            "" => diagnostic.message.clone(),
            remedy => format!("{}. {remedy}", diagnostic.message),
        };
        Self {
            id: instance.id.clone(),
            host: instance.host.clone(),
            port: instance.port,
            protocol: instance.protocol.clone(),
            weight: instance.weight,
            healthy: instance.healthy,
            isolated: instance.isolated,
            endpoint: endpoint.map(endpoint_line),
            published: None,
            reasons: about.map(|one| Reason::new(one.severity, &one.code, text(one))).collect(),
        }
    }
}

impl Reason {
    pub fn new(severity: Severity, code: impl Into<String>, text: String) -> Self {
        Self { severity: severity_word(severity).into(), code: code.into(), text }
    }
}

/// A severity in words.
pub fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}
