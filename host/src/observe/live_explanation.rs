//! Why an entry is as it is, asked of a running controller: what the registry lists, what the module makes of each instance,
//! what is published, and what stands between the two.

use std::collections::HashSet;
use std::sync::Arc;

use polaris2istio_core::model::Verdict;
use serde::{Deserialize, Serialize};

use super::explanation::{Explanation, Fate};
use super::status::EntryStatus;
use super::view::{Reported, View};
use super::words::{block_reason, moment};
use crate::binding::{empty_service, tell_missing};
use crate::registry::{Content, ServiceKey};
use crate::rollout::Paused;
use crate::telemetry::HistoryEvent;
use crate::text::counted;

/// Endpoints of an entry that are shown.
const ENDPOINTS: usize = 4_096;

/// The explanation of one entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveExplanation {
    /// Whether this process writes: only then are holds and problems known to it.
    pub leads: bool,
    pub status: EntryStatus,
    /// Why nothing is written; empty if writes go on.
    pub writes_blocked: Vec<String>,
    pub paused: Option<Paused>,
    /// The registry's word, as a sentence.
    pub registry: String,
    /// The active module: name, version and digest.
    pub module: String,
    /// Why the module says nothing; empty if it does.
    pub silence: String,
    /// The active module's present word.
    pub explanation: Option<Explanation>,
    /// The entry's endpoints, one a line.
    pub published: Vec<String>,
    /// The last changes, the newest first.
    pub history: Vec<HistoryEvent>,
}

impl LiveExplanation {
    /// The explanation of an entry, given as `namespace/name`. The module is asked anew, and nothing is written.
    ///
    /// # Errors
    ///
    /// There is no such entry among those that are served.
    pub async fn of(view: &View, name: &str) -> Result<Self, String> {
        let reported = view.entry(name).ok_or_else(|| view.no_such_entry(name))?;
        let (entry, service, _) = &reported;
        let mut live = Self {
            leads: *view.leads.borrow(),
            status: EntryStatus::of(view, &reported),
            writes_blocked: view.blocked().into_iter().map(|reason| block_reason(reason).into()).collect(),
            paused: view.state.borrow().paused.clone(),
            registry: "the entry names no service".into(),
            module: view.module(),
            silence: String::new(),
            explanation: None,
            published: published(&reported),
            history: view.history.of(&entry.title()),
        };
        if let Some(service) = service {
            live.ask(view, &reported, service).await;
        }
        Ok(live)
    }

    async fn ask(&mut self, view: &View, (entry, ..): &Reported, service: &ServiceKey) {
        let state = view.controller.heard(service);
        let trouble = state
            .as_ref()
            .and_then(|state| state.trouble.as_ref())
            .map(|trouble| format!("; no sound answer since {}: {}", moment(trouble.since.into_std()), trouble.error));
        let Some(last) = state.and_then(|state| state.last) else {
            self.registry = format!("no answer for {service} yet{}", trouble.unwrap_or_default());
            return;
        };
        let missing = last.content.is_missing();
        let (content, word) = match &last.content {
            Content::Listed(listed) => {
                let revision = &listed.revision;
                (
                    Arc::clone(listed),
                    format!("lists {}, revision {revision}", counted(listed.instances.len(), "instance")),
                )
            }
            Content::Missing => (Arc::new(empty_service(Some(service))), "has no such service".into()),
        };
        let came = moment(last.received.into_std());
        self.registry = format!("{service}: {word}; last news {came}{}", trouble.unwrap_or_default());
        let request = match entry.view() {
            Ok(request) => request,
            Err(unsupported) => return self.silence = unsupported.to_string(),
        };
        match view.modules.active().convert(Arc::clone(&content), Arc::new(request), None).await {
            Err(error) => self.silence = error.to_string(),
            Ok(mut outcome) => {
                if missing {
                    tell_missing(&mut outcome, service);
                }
                let update = match &outcome.verdict {
                    Verdict::Update(update) => Some(update),
                    Verdict::Unchanged | Verdict::Rejected => None,
                };
                let mut explanation = Explanation::new(entry.title(), &content, missing, &outcome, update);
                note_published(&mut explanation.instances, entry);
                self.explanation = Some(explanation);
            }
        }
    }
}

fn published((entry, ..): &Reported) -> Vec<String> {
    let ports = |endpoint: &crate::istio::Endpoint| {
        let ports: Vec<_> = endpoint.ports.iter().map(|(name, number)| format!("{name}={number}")).collect();
        if ports.is_empty() { "none".into() } else { ports.join(",") }
    };
    let line = |endpoint: &crate::istio::Endpoint| {
        let weight = endpoint.weight.map(|weight| format!(" weight {weight}")).unwrap_or_default();
        format!("{} {}{weight}", endpoint.address, ports(endpoint))
    };
    entry.spec.endpoints.iter().take(ENDPOINTS).map(line).collect()
}

/// Notes of each instance whether the entry has it now.
fn note_published(fates: &mut [Fate], entry: &crate::istio::ServiceEntry) {
    let endpoints = entry.spec.endpoints.iter();
    let known: HashSet<(&str, u32)> = endpoints
        .flat_map(|endpoint| endpoint.ports.iter().map(|(_, number)| (endpoint.address.as_str(), *number)))
        .collect();
    for fate in fates {
        fate.published = Some(known.contains(&(fate.host.trim(), fate.port)));
    }
}
