//! Tells the owners of entries, by Events on them, what they should know: `kubectl describe` shows it.
//!
//! Nothing waits for an Event, and none is worth much load: what does not fit is left out, the log and the status have it all.
//! One that repeats becomes a series of one Event.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::Condition;
use super::series::{Recorder, Words};
use crate::istio::{KIND, ServiceEntry};
use crate::log_once::LogOnce;

/// Events that may wait.
const WAITING: usize = 256;
/// Between two of them: a mass of entries with one trouble must not load the API server.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one may take.
const WITHIN: Duration = Duration::from_secs(5);
/// The API takes 1 kB.
const LONGEST: usize = 1000;

/// A queue of what is to be told; without a cluster it goes nowhere.
#[derive(Clone, Default)]
pub struct Events {
    sender: Option<mpsc::Sender<(ObjectReference, Words)>>,
    api_version: String,
}

impl Events {
    /// Tells by this client, in the name of this process. The future tells until it is dropped.
    pub fn new(client: Client, identity: &str, api_version: &str) -> (Self, impl Future<Output = ()> + use<>) {
        let (sender, told) = mpsc::channel(WAITING);
        let events = Self { sender: Some(sender), api_version: api_version.into() };
        (events, publish(Recorder::new(client, identity), told))
    }

    /// Tells of a condition that an entry did not have, or not like this.
    pub fn problem(&self, entry: &ServiceEntry, condition: Condition, reason: &'static str, words: &str) {
        self.send(entry, Words { kind: "Warning", reason, action: condition.action(), note: cut(words) });
    }

    /// Tells that it is over.
    pub fn solved(&self, entry: &ServiceEntry, condition: Condition, words: &str) {
        let note = cut(&format!("over: {words}"));
        self.send(entry, Words { kind: "Normal", reason: "Recovered", action: condition.action(), note });
    }

    /// Tells of something else than an entry; `kind` is `Normal` or `Warning`.
    pub fn note(
        &self,
        about: ObjectReference,
        kind: &'static str,
        reason: &'static str,
        action: &'static str,
        words: &str,
    ) {
        self.send_about(about, Words { kind, reason, action, note: cut(words) });
    }

    /// Tells of a command that somebody gave, on what stands for all replicas.
    pub fn command(&self, on: ObjectReference, done: bool, reason: &'static str, action: &'static str, note: &str) {
        let (kind, reason) = if done { ("Normal", reason) } else { ("Warning", "CommandRefused") };
        self.note(on, kind, reason, action, note);
    }

    fn send(&self, entry: &ServiceEntry, words: Words) {
        let reference = ObjectReference {
            api_version: Some(self.api_version.clone()),
            kind: Some(KIND.into()),
            name: entry.metadata.name.clone(),
            namespace: entry.metadata.namespace.clone(),
            uid: entry.metadata.uid.clone(),
            ..ObjectReference::default()
        };
        self.send_about(reference, words);
    }

    fn send_about(&self, about: ObjectReference, words: Words) {
        let Some(sender) = &self.sender else { return };
        let name = about.name.clone();
        if sender.try_send((about, words)).is_err() {
            debug!(name, "an Event is left out, there are too many");
        }
    }
}

async fn publish(mut recorder: Recorder, mut told: mpsc::Receiver<(ObjectReference, Words)>) {
    let mut log = LogOnce::default();
    while let Some((reference, words)) = told.recv().await {
        let problem = match tokio::time::timeout(WITHIN, recorder.publish(&reference, &words)).await {
            Ok(Ok(())) => {
                log.clear();
                None
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => Some(format!(
                "{}; grant create and patch on events.events.k8s.io by a Role in the entries' namespace, and create in the controller's own",
                status.message
            )),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {WITHIN:?}")),
        };
        if let Some(problem) = problem.filter(|problem| log.is_news("events", problem)) {
            warn!("Events cannot be written, the log has what they say: {problem}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_character() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(800);
        let cut = cut(&long);
        assert!(cut.len() <= 1003 && cut.ends_with("é…"), "{}", cut.len());
    }
}
