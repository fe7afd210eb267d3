//! What is known of modules beyond one process: which one is active, which ones were refused, and what happened. All
//! replicas read it, and the leader alone changes it.

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
    /// Waits for a person. One that cannot be read is compared anew.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::option")]
    pub candidate: Option<PendingApproval>,
    /// Are not taken up again by themselves.
    pub refused: Vec<Refused>,
    /// The last that happened, the oldest first.
    #[serde(deserialize_with = "lenient::list")]
    pub history: VecDeque<ModuleEvent>,
}

/// A module with its parameters, for machines and people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleRecord {
    /// What it is known by.
    #[serde(flatten)]
    pub identity: Identity,
    /// Its name, as it says.
    pub name: String,
    /// Its version, as it says.
    pub version: String,
    /// Where it came from.
    pub origin: String,
    /// When it became what it is.
    pub since: Timestamp,
}

/// A module on trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// Which.
    #[serde(flatten)]
    pub rules: ModuleRecord,
    /// Its share of the entries.
    pub share: Percent,
    /// When it gets all.
    pub until: Timestamp,
}

/// A module that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingApproval {
    /// Which.
    #[serde(flatten)]
    pub rules: ModuleRecord,
    /// Why it was not taken.
    pub objections: Vec<String>,
    /// What it would change.
    pub report: Report,
}

/// A module that is not taken up again by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Which.
    #[serde(flatten)]
    pub identity: Identity,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: ModuleEventKind,
    /// To which module.
    #[serde(flatten)]
    pub identity: Identity,
    /// Where that came from.
    pub origin: String,
    /// Why, or what it changed.
    pub detail: String,
}

/// What can happen to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModuleEventKind {
    /// It is the first.
    Installed,
    /// It waits for a person.
    Waits,
    /// It is tried on a share of the entries.
    Canary,
    /// It became the active one.
    Switched,
    /// It was left for the one before.
    RolledBack,
    /// A person does not want it.
    Rejected,
    /// It cannot be loaded.
    Unfit,
    /// The source has another one now.
    Withdrawn,
}

impl ModuleState {
    /// Notes something.
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

    fn note_named(&mut self, what: ModuleEventKind, rules: &ModuleRecord, detail: String, at: Timestamp) {
        self.note(what, rules.identity.clone(), rules.origin.clone(), detail, at);
    }

    /// Notes the very first module.
    pub(super) fn install(&mut self, rules: ModuleRecord) {
        self.note_named(ModuleEventKind::Installed, &rules, String::new(), rules.since);
        self.active = Some(rules);
    }

    /// Makes a module the active one.
    pub(super) fn switch(&mut self, rules: ModuleRecord, detail: String) {
        self.note_named(ModuleEventKind::Switched, &rules, detail, rules.since);
        self.pardon(&rules.identity);
        (self.candidate, self.canary) = (None, None);
        self.previous = self.active.replace(rules);
    }

    /// Puts a module on trial.
    pub(super) fn try_out(&mut self, canary: Canary, detail: String) {
        self.note_named(ModuleEventKind::Canary, &canary.rules, detail, canary.rules.since);
        self.candidate = None;
        self.canary = Some(canary);
    }

    /// Lets a module wait for a person.
    pub(super) fn wait(&mut self, waiting: PendingApproval) {
        let known = self.candidate.as_ref().is_some_and(|known| known.rules.identity == waiting.rules.identity);
        if !known {
            self.note_named(ModuleEventKind::Waits, &waiting.rules, waiting.objections.join("; "), waiting.rules.since);
        }
        self.candidate = Some(waiting);
    }

    /// Leaves the canary, or else the active module for the one before. Returns which was left, and whether there was one to
    /// leave.
    pub(super) fn roll_back(&mut self, reason: &str, at: Timestamp) -> Option<ModuleRecord> {
        let left = match self.canary.take() {
            Some(canary) => canary.rules,
            None => {
                let previous = self.previous.take()?;
                self.active.replace(ModuleRecord { since: at, ..previous })?
            }
        };
        self.refuse(&left, ModuleEventKind::RolledBack, reason, at);
        Some(left)
    }

    /// Drops the candidate, or the canary, as a person wishes.
    pub(super) fn reject(&mut self, reason: &str, at: Timestamp) -> Option<ModuleRecord> {
        let candidate = self.candidate.take().map(|waiting| waiting.rules);
        let rules = candidate.or_else(|| self.canary.take().map(|canary| canary.rules))?;
        self.refuse(&rules, ModuleEventKind::Rejected, reason, at);
        Some(rules)
    }

    /// Forgets a candidate or canary that its source does not have any more.
    pub(super) fn withdraw(&mut self, at: Timestamp) {
        let candidate = self.candidate.take().map(|waiting| waiting.rules);
        let canary = self.canary.take().map(|canary| canary.rules);
        for rules in candidate.into_iter().chain(canary) {
            self.note_named(ModuleEventKind::Withdrawn, &rules, String::new(), at);
        }
    }

    /// Why a module is not taken up by itself, if it is not.
    pub(super) fn refusal(&self, identity: &Identity) -> Option<&Refused> {
        self.refused.iter().find(|refused| refused.identity == *identity)
    }

    fn refuse(&mut self, rules: &ModuleRecord, what: ModuleEventKind, reason: &str, at: Timestamp) {
        self.note_named(what, rules, reason.into(), at);
        self.pardon(&rules.identity);
        self.refused.push(Refused { identity: rules.identity.clone(), reason: reason.into(), at });
        if self.refused.len() > REFUSED {
            self.refused.remove(0);
        }
    }

    fn pardon(&mut self, identity: &Identity) {
        self.refused.retain(|refused| refused.identity != *identity);
    }
}
