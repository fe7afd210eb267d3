//! The modules that convert now: replaced as a whole at every change, so that every call runs on one of them from its
//! beginning to its end.

use std::sync::Arc;
use std::time::Instant;

use polaris2istio_core::model::Entry;

use crate::annotation::MODULE;
use crate::converter::{Identity, LoadedModule};
use crate::hash::hash;
use crate::percent::Percent;

/// The modules, and the entries that each converts.
pub(super) struct ModuleSet {
    /// Converts all entries but those of the canary.
    pub(super) active: Arc<LoadedModule>,
    /// A candidate that is tried on a share of the entries.
    pub(super) canary: Option<(Arc<LoadedModule>, Percent)>,
    /// The previous module, and the time until which the active one is compared with it.
    pub(super) previous: Option<(Arc<LoadedModule>, Instant)>,
    /// The module that a roll-back left: the content that the previous one had published comes back without delay.
    pub(super) left: Option<Arc<Identity>>,
}

/// The module that converts an entry, and the one that it is compared with.
pub(super) struct Choice<'a> {
    pub(super) module: &'a Arc<LoadedModule>,
    pub(super) judge: Option<&'a Arc<LoadedModule>>,
}

impl ModuleSet {
    pub(super) fn of(active: Arc<LoadedModule>) -> Self {
        Self { active, canary: None, previous: None, left: None }
    }

    pub(super) fn choose(&self, entry: &Entry) -> Choice<'_> {
        if let Some((canary, share)) = &self.canary
            && (is_named(entry) || share.includes(spread(entry)))
        {
            return Choice { module: canary, judge: Some(&self.active) };
        }
        Choice { module: &self.active, judge: self.judge() }
    }

    /// The module of an identity, if it is one of these.
    pub(super) fn find(&self, identity: &Identity) -> Option<&Arc<LoadedModule>> {
        let canary = self.canary.as_ref().map(|(canary, _)| canary);
        let previous = self.previous.as_ref().map(|(previous, _)| previous);
        [Some(&self.active), canary, previous].into_iter().flatten().find(|module| **module.identity() == *identity)
    }

    /// Whether a module is held to what another one does.
    pub(super) fn is_on_trial(&self, identity: &Identity) -> bool {
        let is_canary = self.canary.as_ref().is_some_and(|(canary, _)| **canary.identity() == *identity);
        is_canary || (**self.active.identity() == *identity && self.judge().is_some())
    }

    /// The module that the active one is held to.
    pub(super) fn judge(&self) -> Option<&Arc<LoadedModule>> {
        self.previous.as_ref().filter(|(_, until)| Instant::now() < *until).map(|(previous, _)| previous)
    }
}

fn is_named(entry: &Entry) -> bool {
    entry.annotations.iter().any(|(key, value)| key == MODULE && value == "candidate")
}

/// The place of an entry between 0 and 1: the same in every process, so that all replicas choose alike.
fn spread(entry: &Entry) -> f64 {
    hash((&entry.namespace, &entry.name)) as f64 / u64::MAX as f64
}
