//! The modules that convert now: replaced as a whole at every change, so that every call runs on one of them from its
//! beginning to its end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use polaris2istio_core::model::{Entry, Service};

use super::Identity;
use crate::converter::Converter;
use crate::hash::hash;
use crate::percent::Percent;

/// The annotation that lets an entry go with a canary, or not: `candidate`.
const MODULE: &str = "aeraki.net/module";

/// Who converts what.
pub(super) struct LineUp {
    /// Converts all entries but those of the canary.
    pub(super) active: Arc<Converter>,
    /// A candidate that is tried on a share of the entries.
    pub(super) canary: Option<(Arc<Converter>, Percent)>,
    /// The one before, and until when the active one is held to what that did.
    pub(super) previous: Option<(Arc<Converter>, Instant)>,
    /// The rules that were left by a roll-back: what the ones before had published comes back without delay.
    pub(super) left: Option<Arc<Identity>>,
    /// Inputs on which the newest module failed, or that it rejected and the one before accepts.
    pub(super) strikes: Mutex<HashSet<u64>>,
}

/// Who converts an entry, and whom he is held to.
pub(super) struct Choice<'a> {
    pub(super) rules: &'a Arc<Converter>,
    pub(super) judge: Option<&'a Arc<Converter>>,
}

impl LineUp {
    pub(super) fn of(active: Arc<Converter>) -> Self {
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
    pub(super) fn find(&self, identity: &Identity) -> Option<&Arc<Converter>> {
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
