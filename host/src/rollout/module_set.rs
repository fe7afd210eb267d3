//! The modules that convert now: replaced as a whole at every change, so that every call runs on one of them from its
//! beginning to its end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use polaris2istio_core::model::{Entry, Service};

use crate::annotation::MODULE;
use crate::converter::Identity;
use crate::converter::LoadedModule;
use crate::hash::hash;
use crate::percent::Percent;

/// Who converts what.
pub(super) struct ModuleSet {
    /// Converts all entries but those of the canary.
    pub(super) active: Arc<LoadedModule>,
    /// A candidate that is tried on a share of the entries.
    pub(super) canary: Option<(Arc<LoadedModule>, Percent)>,
    /// The one before, and until when the active one is held to what that did.
    pub(super) previous: Option<(Arc<LoadedModule>, Instant)>,
    /// The rules that were left by a roll-back: what the ones before had published comes back without delay.
    pub(super) left: Option<Arc<Identity>>,
    /// Inputs on which the newest module failed, or that it rejected and the one before accepts.
    pub(super) strikes: Mutex<HashSet<u64>>,
}

/// Who converts an entry, and whom he is held to.
pub(super) struct Choice<'a> {
    pub(super) rules: &'a Arc<LoadedModule>,
    pub(super) judge: Option<&'a Arc<LoadedModule>>,
}

impl ModuleSet {
    pub(super) fn of(active: Arc<LoadedModule>) -> Self {
        Self { active, canary: None, previous: None, left: None, strikes: Mutex::default() }
    }

    pub(super) fn choose(&self, entry: &Entry) -> Choice<'_> {
        if let Some((canary, share)) = &self.canary
            && (is_named(entry) || share.takes(spread(entry)))
        {
            return Choice { rules: canary, judge: Some(&self.active) };
        }
        let judge = self.previous.as_ref().filter(|(_, until)| Instant::now() < *until).map(|(previous, _)| previous);
        Choice { rules: &self.active, judge }
    }

    /// The module of an identity, if it is one of these.
    pub(super) fn find(&self, identity: &Identity) -> Option<&Arc<LoadedModule>> {
        let canary = self.canary.as_ref().map(|(canary, _)| canary);
        let previous = self.previous.as_ref().map(|(previous, _)| previous);
        [Some(&self.active), canary, previous].into_iter().flatten().find(|rules| **rules.identity() == *identity)
    }

    /// Counts an input against the newest module, once however often it is tried. Returns how many there are now.
    pub(super) fn strike(&self, entry: &Entry, service: &Service) -> usize {
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        strikes.insert(hash((&entry.namespace, &entry.name, &service.revision)));
        strikes.len()
    }
}

fn is_named(entry: &Entry) -> bool {
    entry.annotations.iter().any(|(key, value)| key == MODULE && value == "candidate")
}

/// Where an entry stands between 0 and 1: the same in every process, so that all replicas choose alike.
fn spread(entry: &Entry) -> f64 {
    hash((&entry.namespace, &entry.name)) as f64 / u64::MAX as f64
}
