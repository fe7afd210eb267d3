//! The state of modules beyond one process: the active one, the refused ones, and the history. All replicas read it, and
//! the leader alone changes it.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Report;
use crate::converter::Identity;
use crate::lenient;
use crate::percent::Percent;

/// Events that are kept.
const HISTORY: usize = 50;
/// Refused modules that are remembered.
const REFUSED: usize = 50;

/// The modules' part of the shared state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModuleState {
    /// Converts all entries but those of a canary.
    pub active: Option<ModuleRecord>,
    /// The one to go back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<ModuleRecord>,
    /// Is tried on a share of the entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Waits for the operator. A record that cannot be read is left out, and the candidate compared anew.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::option")]
    pub candidate: Option<PendingApproval>,
    /// Modules that are not proposed again by themselves.
    pub refused: Vec<Refused>,
    /// The last events, the oldest first.
    #[serde(deserialize_with = "lenient::list")]
    pub history: VecDeque<ModuleEvent>,
}

/// A module with its parameters, for programs and the operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleRecord {
    /// The identity of the module.
    #[serde(flatten)]
    pub identity: Identity,
    /// Its name, as it says.
    pub name: String,
    /// Its version, as it says.
    pub version: String,
    /// The origin of its bytes.
    pub origin: String,
    /// The time since which it has its present role.
    pub since: Timestamp,
}

/// A module on trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    #[serde(flatten)]
    pub module: ModuleRecord,
    /// Its share of the entries.
    pub share: Percent,
    /// The time when it gets all entries.
    pub until: Timestamp,
}

/// A module that waits for the operator's decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingApproval {
    #[serde(flatten)]
    pub module: ModuleRecord,
    /// The reasons why it was not made active.
    pub objections: Vec<String>,
    /// The changes that it would make.
    pub report: Report,
}

/// A module that is not proposed again by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    #[serde(flatten)]
    pub identity: Identity,
    pub reason: String,
    pub at: Timestamp,
}

/// An event in the life of a module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleEvent {
    pub at: Timestamp,
    pub what: ModuleEventKind,
    #[serde(flatten)]
    pub identity: Identity,
    /// The origin of that module's bytes.
    pub origin: String,
    /// The reason, or the changes.
    pub detail: String,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModuleEventKind {
    /// It is the first module.
    Installed,
    /// It waits for the operator.
    Waits,
    /// It is tried on a share of the entries.
    Canary,
    /// It became the active one.
    Switched,
    /// It was rolled back to the previous one.
    RolledBack,
    /// The operator rejected it.
    Rejected,
    /// It cannot be loaded.
    Unfit,
    /// The source has another one now.
    Withdrawn,
}

impl ModuleState {
    /// Adds an event to the history.
    pub(super) fn note(
        &mut self,
        what: ModuleEventKind,
        identity: Identity,
        origin: String,
        detail: String,
        at: Timestamp,
    ) {
        self.history.push_back(ModuleEvent { at, what, identity, origin, detail });
        while self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    fn note_record(&mut self, what: ModuleEventKind, module: &ModuleRecord, detail: String, at: Timestamp) {
        self.note(what, module.identity.clone(), module.origin.clone(), detail, at);
    }

    /// Records the very first module.
    pub(super) fn install(&mut self, module: ModuleRecord) {
        self.note_record(ModuleEventKind::Installed, &module, String::new(), module.since);
        self.active = Some(module);
    }

    /// Makes a module the active one.
    pub(super) fn switch(&mut self, module: ModuleRecord, detail: String) {
        self.note_record(ModuleEventKind::Switched, &module, detail, module.since);
        self.pardon(&module.identity);
        (self.candidate, self.canary) = (None, None);
        self.previous = self.active.replace(module);
    }

    /// Puts a module on trial.
    pub(super) fn start_canary(&mut self, canary: Canary, detail: String) {
        self.note_record(ModuleEventKind::Canary, &canary.module, detail, canary.module.since);
        self.candidate = None;
        self.canary = Some(canary);
    }

    /// Lets a module wait for the operator.
    pub(super) fn await_approval(&mut self, pending: PendingApproval) {
        let known = self.candidate.as_ref().is_some_and(|known| known.module.identity == pending.module.identity);
        if !known {
            self.note_record(
                ModuleEventKind::Waits,
                &pending.module,
                pending.objections.join("; "),
                pending.module.since,
            );
        }
        self.candidate = Some(pending);
    }

    /// Leaves the canary, or else the active module for the previous one. Returns the module that was left; `None` if there
    /// was none to leave.
    pub(super) fn roll_back(&mut self, reason: &str, at: Timestamp) -> Option<ModuleRecord> {
        let left = match self.canary.take() {
            Some(canary) => canary.module,
            None => {
                let previous = self.previous.take()?;
                self.active.replace(ModuleRecord { since: at, ..previous })?
            }
        };
        self.refuse(&left, ModuleEventKind::RolledBack, reason, at);
        Some(left)
    }

    /// Drops the candidate, or the canary, by the operator's wish.
    pub(super) fn reject(&mut self, reason: &str, at: Timestamp) -> Option<ModuleRecord> {
        let candidate = self.candidate.take().map(|pending| pending.module);
        let module = candidate.or_else(|| self.canary.take().map(|canary| canary.module))?;
        self.refuse(&module, ModuleEventKind::Rejected, reason, at);
        Some(module)
    }

    /// Drops a candidate or canary that its source does not have any more.
    pub(super) fn withdraw(&mut self, at: Timestamp) {
        let candidate = self.candidate.take().map(|pending| pending.module);
        let canary = self.canary.take().map(|canary| canary.module);
        for module in candidate.into_iter().chain(canary) {
            self.note_record(ModuleEventKind::Withdrawn, &module, String::new(), at);
        }
    }

    /// The refusal of a module; `None` if it was not refused.
    pub(super) fn refusal(&self, identity: &Identity) -> Option<&Refused> {
        self.refused.iter().find(|refused| refused.identity == *identity)
    }

    fn refuse(&mut self, module: &ModuleRecord, what: ModuleEventKind, reason: &str, at: Timestamp) {
        self.note_record(what, module, reason.into(), at);
        self.pardon(&module.identity);
        self.refused.push(Refused { identity: module.identity.clone(), reason: reason.into(), at });
        if self.refused.len() > REFUSED {
            self.refused.remove(0);
        }
    }

    fn pardon(&mut self, identity: &Identity) {
        self.refused.retain(|refused| refused.identity != *identity);
    }
}
