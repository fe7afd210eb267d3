//! The state of modules beyond one process: the active one, the refused ones, and the history. All replicas read it, and
//! the leader alone changes it.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Loading, ModuleName, Report};
use crate::converter::Identity;
use crate::lenient;
use crate::percent::Percent;
use crate::text;

/// Events that are kept.
const HISTORY: usize = 50;
/// Modules that were active and can be gone back to.
const EARLIER: usize = 10;
/// The longest text of an event, in characters: fifty of them, and as many refusals, have to fit into a ConfigMap.
const DETAIL: usize = 500;
/// Refused modules that are remembered.
const REFUSED: usize = 50;

/// The modules' part of the shared state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModuleState {
    /// Converts all entries but those of a canary.
    pub active: Option<ModuleRecord>,
    /// Those that were active before and can be gone back to, the last one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<ModuleRecord>,
    /// Is tried on a share of the entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Those that processes are loading. If such a process is gone, the module may be why.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::list")]
    pub loading: Vec<Loading>,
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
    /// The process ended while it was being loaded, so that it is not even looked at again by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deadly: bool,
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

impl ModuleEventKind {
    /// All kinds, in their order.
    pub const ALL: [Self; 8] = [
        Self::Installed,
        Self::Waits,
        Self::Canary,
        Self::Switched,
        Self::RolledBack,
        Self::Rejected,
        Self::Unfit,
        Self::Withdrawn,
    ];

    /// The word for it, as in the history.
    pub fn word(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Waits => "waits",
            Self::Canary => "canary",
            Self::Switched => "switched",
            Self::RolledBack => "rolled-back",
            Self::Rejected => "rejected",
            Self::Unfit => "unfit",
            Self::Withdrawn => "withdrawn",
        }
    }
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
        let detail = text::shown(&detail, DETAIL);
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
        self.change_active(module);
    }

    fn change_active(&mut self, module: ModuleRecord) {
        let before = self.active.take();
        self.earlier.retain(|known| {
            known.identity != module.identity && before.as_ref().is_none_or(|before| known.identity != before.identity)
        });
        if let Some(before) = before.filter(|before| before.identity != module.identity) {
            self.earlier.insert(0, before);
        }
        self.earlier.truncate(EARLIER);
        self.active = Some(module);
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

    /// Leaves a canary or the active module for another one. Nothing happens if it is neither: then that was decided before.
    /// `deadly` is one that processes ended of.
    pub(super) fn roll_back(&mut self, left: &Identity, to: &ModuleRecord, reason: &str, deadly: bool, at: Timestamp) {
        let canary = self.canary.take_if(|canary| canary.module.identity == *left).map(|canary| canary.module);
        let active = self.active.clone().filter(|active| active.identity == *left);
        let Some(left) = canary.or_else(|| {
            let active = active?;
            self.canary = None;
            self.change_active(ModuleRecord { since: at, ..to.clone() });
            Some(active)
        }) else {
            return;
        };
        self.note_record(ModuleEventKind::RolledBack, &left, reason.into(), at);
        self.refuse(&left.identity, reason, deadly, at);
    }

    /// Drops the candidate or the canary of this name, by the operator's wish. Returns it; `None` if neither has the name.
    pub(super) fn reject(&mut self, name: &ModuleName, reason: &str, at: Timestamp) -> Option<ModuleRecord> {
        let candidate =
            self.candidate.take_if(|pending| name.fits(&pending.module.identity)).map(|pending| pending.module);
        let canary = || self.canary.take_if(|canary| name.fits(&canary.module.identity)).map(|canary| canary.module);
        let module = candidate.or_else(canary)?;
        self.note_record(ModuleEventKind::Rejected, &module, reason.into(), at);
        self.refuse(&module.identity, reason, false, at);
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

    /// The module that waits for the operator, or is on trial.
    pub(super) fn waiting(&self) -> Option<&Identity> {
        let canary = self.canary.as_ref().map(|canary| &canary.module.identity);
        self.candidate.as_ref().map(|pending| &pending.module.identity).or(canary)
    }

    /// Refuses a module that cannot be loaded. It is told once however often it is tried.
    pub(super) fn note_unfit(&mut self, identity: &Identity, origin: &str, problem: &str, at: Timestamp) {
        let detail = text::shown(problem, DETAIL);
        let is_known = self.history.back().is_some_and(|event| {
            event.what == ModuleEventKind::Unfit && event.identity == *identity && event.detail == detail
        });
        if !is_known {
            self.note(ModuleEventKind::Unfit, identity.clone(), origin.into(), detail, at);
        }
    }

    /// Refuses a candidate that a process was loading when it ended.
    pub(super) fn note_deadly(&mut self, identity: &Identity, origin: &str, reason: &str, at: Timestamp) {
        self.note(ModuleEventKind::Unfit, identity.clone(), origin.into(), reason.into(), at);
        self.refuse(identity, reason, true, at);
    }

    /// The refusal of a module; `None` if it was not refused.
    pub(super) fn refusal(&self, identity: &Identity) -> Option<&Refused> {
        self.refused.iter().find(|refused| refused.identity == *identity)
    }

    fn refuse(&mut self, identity: &Identity, reason: &str, deadly: bool, at: Timestamp) {
        self.pardon(identity);
        self.refused.push(Refused { identity: identity.clone(), reason: text::shown(reason, DETAIL), at, deadly });
        if self.refused.len() > REFUSED {
            self.refused.remove(0);
        }
    }

    fn pardon(&mut self, identity: &Identity) {
        self.forget_loading(identity);
        self.refused.retain(|refused| refused.identity != *identity);
    }
}
