//! What must hold over time, for every seed, judged by the journal when all is over. What the registry lists and what owners
//! registered is known to the second, and so is every state of every entry; the rules of `core`, natively, say what is right.

mod ends;
mod loss;
pub(crate) mod policies;
mod telling;
mod truth;
mod writes;

use std::fmt;
use std::time::Duration;

use polaris2istio::annotation::MOST;
use polaris2istio::istio::ServiceEntry;
use polaris2istio::plan::{Desired, plan};
use polaris2istio::registry::decode_answer;
use polaris2istio_core::model::{Request, Service, Verdict};
use serde_json::Value;

use crate::journal::Note;
use crate::registry::NAMESPACE;
use truth::Truth;

/// The notes of a journal.
pub(crate) type Notes = [(Duration, Note)];

/// Something that must not be: which invariant, and what broke it.
pub(crate) struct Found {
    pub(crate) kind: &'static str,
    text: String,
}

impl Found {
    pub(crate) fn new(kind: &'static str, text: String) -> Self {
        Self { kind, text }
    }

    fn at(kind: &'static str, at: Duration, text: String) -> Self {
        Self { kind, text: format!("at {:.3} s {text}", at.as_secs_f64()) }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.text)
    }
}

/// All that is wrong with what came to pass.
pub(crate) fn judge(notes: &Notes, elected: bool) -> Vec<Found> {
    let truth = Truth::of(notes);
    let mut found = loss::judge(notes, &truth);
    found.extend(writes::judge(notes, &truth, elected));
    found.extend(telling::judge(notes));
    found.extend(ends::judge(notes, &truth));
    found.extend(policies::judge(notes, &truth));
    found
}

/// What is wrong with an entry, by the rules and the registry's answer for its service.
pub(crate) fn wrong(entry: &Value, service: &str, answer: Option<&Value>) -> Option<String> {
    let mut live: ServiceEntry = serde_json::from_value(entry.clone()).expect("an entry");
    live.condense();
    let listed = match answer {
        Some(answer) => {
            let answer = decode_answer(answer.to_string().as_bytes(), "the registry").expect("an answer");
            match answer.content {
                polaris2istio::registry::Content::Listed(service) => (*service).clone(),
                polaris2istio::registry::Content::Missing => nothing(service),
            }
        }
        None => nothing(service),
    };
    let request =
        Request { service: listed, entry: live.view().expect("a view"), parameters: Vec::new(), published: None };
    let outcome = polaris2istio_core::convert(&request).expect("an outcome");
    let Verdict::Update(update) = outcome.verdict else { return None };
    if answer.is_none() && update.endpoints.is_empty() && live.spec.endpoints.is_empty() {
        return None;
    }
    let mut desired = Desired::of(update, &request.service);
    if let Some(revision) = live.annotation("aeraki.net/revision") {
        desired.revision = revision.into();
    }
    // The guard's own, which no rule knows of.
    if let Some(most) = live.annotation(MOST) {
        desired.annotations.insert(MOST.into(), most.into());
    }
    let change = plan(&desired, &live).apply?.change;
    let (added, removed, changed) = (change.added, change.removed, change.changed);
    Some(format!("{added} are missing, {removed} are too many, {changed} are otherwise: {}", change.fields.join(", ")))
}

fn nothing(service: &str) -> Service {
    Service {
        namespace: NAMESPACE.into(),
        name: service.into(),
        revision: String::new(),
        metadata: Vec::new(),
        instances: Vec::new(),
    }
}
