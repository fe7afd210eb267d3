//! The log of policies: each trouble once, and every write.

use std::collections::BTreeMap;

use kube::runtime::watcher::{Error, Event, Result as Watch};
use tracing::{info, warn};

use super::plan::{Action, Step};
use super::report::Report;
use crate::log_once::LogOnce;
use crate::plan::ApplyError;
use crate::text::counted;

/// The rights that policies need beyond those for entries.
const REMEDY: &str = "grant this identity the verbs list and watch on polarisimports.polaris2istio.aeraki.net, patch on polarisimports/status, patch on polarisimports (for `onDelete: Prune`), and create and delete on serviceentries.networking.istio.io in the entries' namespace";

#[derive(Default)]
pub struct ImportLog {
    watches: LogOnce,
    reports: LogOnce<String>,
    writes: LogOnce<String>,
    statuses: LogOnce<String>,
    rehearsal: LogOnce,
    kinds: LogOnce,
    keeps: LogOnce<String>,
}

impl ImportLog {
    /// The event of a watch, unless it is a failure.
    pub fn heard<K>(&mut self, what: &'static str, event: Watch<Event<K>>) -> Option<Event<K>> {
        match event {
            Ok(event) => {
                if !matches!(event, Event::Init) && self.watches.end(&what) {
                    info!("policies: the watch on {what} works again");
                }
                Some(event)
            }
            Err(error) => {
                let text = explain(what, &error);
                if self.watches.is_news(what, &text) {
                    warn!("policies: {text}");
                }
                None
            }
        }
    }

    /// Says of every policy what became of it, when that is another thing.
    pub fn reports(&mut self, reports: &BTreeMap<String, Report>) {
        self.reports.retain(|name| reports.contains_key(name));
        for (name, report) in reports {
            let (ready, word, text) = report.words();
            // Counts change all the time while entries are made.
            if report.is_passing() || !self.reports.is_news(name.clone(), (word, report.refused.len())) {
                continue;
            }
            if ready {
                info!(policy = name, "policy: {text}");
            } else {
                warn!(policy = name, "policy is not ready, {word}: {text}");
            }
        }
    }

    /// Says what a dry run would write.
    pub fn rehearse(&mut self, steps: &[Step]) {
        let count = |fits: fn(&Action) -> bool| steps.iter().filter(|step| fits(&step.action)).count();
        let text = format!(
            "policies would make {}, change {}, note {} as gone and delete {}",
            counted(count(|action| matches!(action, Action::Create(_))), "entry"),
            count(|action| matches!(action, Action::Change(_))),
            count(|action| matches!(action, Action::Mark(_))),
            count(|action| matches!(action, Action::Delete { .. })),
        );
        if self.rehearsal.is_news("dry run", &text) {
            info!("dry run: {text}; `polaris2istio generate` prints them");
        }
    }

    pub fn written(&mut self, step: &Step, done: &Result<(), ApplyError>) {
        let (entry, policy) = (&step.name, &step.policy);
        match done {
            Ok(()) => {
                self.writes.end(entry);
                match &step.action {
                    Action::Create(_) => info!(entry, policy, "policy: entry made"),
                    Action::Change(_) => info!(entry, policy, "policy: entry changed"),
                    Action::Mark(_) => {
                        info!(entry, policy, "policy: the service is gone; the entry is deleted if it stays so")
                    }
                    Action::Delete { .. } => info!(entry, policy, "policy: entry deleted"),
                }
            }
            // The watch brings its new state.
            Err(ApplyError::Stale | ApplyError::Gone) => {}
            Err(error) => {
                if self.writes.is_news(entry.clone(), error.to_string()) && self.writes.len() <= LOGGED {
                    warn!(entry, policy, "policy: not written: {error}");
                }
            }
        }
    }

    /// Whether it could be asked if the kind of policies stays.
    pub fn asked(&mut self, stays: &Result<bool, ApplyError>) {
        match stays {
            Ok(_) => drop(self.kinds.end(&"kind")),
            Err(error) => {
                if self.kinds.is_news("kind", error.to_string()) {
                    warn!("policies: whether their CRD stays cannot be told: {error}; nothing is deleted meanwhile");
                }
            }
        }
    }

    /// A policy's finalizer was written, or not.
    pub fn kept(&mut self, policy: &str, kept: &Result<(), ApplyError>) {
        match kept {
            Ok(()) => drop(self.keeps.end(&policy.to_owned())),
            Err(ApplyError::Stale) => {}
            Err(error) => {
                if self.keeps.is_news(policy.to_owned(), error.to_string()) {
                    warn!(policy, "the policy's finalizer is not written: {error}; {REMEDY}");
                }
            }
        }
    }

    pub fn told(&mut self, policy: &str, told: &Result<(), ApplyError>) {
        match told {
            Ok(()) => drop(self.statuses.end(&policy.to_owned())),
            Err(error) => {
                if self.statuses.is_news(policy.to_owned(), error.to_string()) {
                    warn!(policy, "the policy's status is not written: {error}; {REMEDY}");
                }
            }
        }
    }
}

/// Entries whose failed writes are logged one by one.
const LOGGED: usize = 20;

fn explain(what: &str, error: &Error) -> String {
    let code = match error {
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status)) => status.code,
        Error::WatchError(status) => status.code,
        _ => 0,
    };
    match code {
        401 | 403 => format!("{what} cannot be watched: {error}; {REMEDY}"),
        404 => format!(
            "{what} cannot be watched: {error}; a CRD is missing: apply deploy/kustomize/crd, or install the chart anew"
        ),
        _ => format!("{what} cannot be watched: {error}; retrying"),
    }
}
