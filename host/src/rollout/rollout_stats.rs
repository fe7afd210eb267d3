//! Notices of modules beyond those in use: trouble of their source, and how often what happened to them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ModuleEventKind;
use crate::text;

/// The longest reason that is shown, in characters.
const REASON: usize = 1_000;

/// Observations of modules by this process.
#[derive(Default)]
pub struct RolloutStats {
    trouble: Mutex<Option<SourceTrouble>>,
    events: [AtomicU64; ModuleEventKind::ALL.len()],
}

/// Why the source gives no module that can be used. The one in use goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceTrouble {
    /// When this reason was first found.
    pub since: Timestamp,
    pub reason: String,
}

impl RolloutStats {
    /// The trouble of the source; `None` if it is well.
    pub fn source_trouble(&self) -> Option<SourceTrouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note_trouble(&self, reason: &str) {
        let reason = text::shown(reason, REASON);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.as_ref().is_none_or(|known| known.reason != reason) {
            *trouble = Some(SourceTrouble { since: Timestamp::now(), reason });
        }
    }

    pub(super) fn end_trouble(&self) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn count(&self, kind: ModuleEventKind) {
        self.events[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often each kind of event happened in this process.
    pub fn events(&self) -> impl Iterator<Item = (ModuleEventKind, u64)> {
        ModuleEventKind::ALL.into_iter().map(|kind| (kind, self.events[kind as usize].load(Ordering::Relaxed)))
    }
}
