//! What the registry said last of each service that some entry follows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use polaris2istio_core::model::Service;
use tokio::time::Instant;

use crate::registry::{News, Report, ServiceKey};

/// The last that is known of a service.
#[derive(Clone)]
pub(super) enum Known {
    Listed(Arc<Service>),
    Missing,
    /// There was no answer yet, only a failure.
    Failed,
}

/// Services by name, with the time of the answer and its round.
#[derive(Default)]
pub(super) struct Services {
    known: RwLock<HashMap<ServiceKey, (Known, Instant, u64)>>,
    round: AtomicU64,
}

impl Services {
    /// Takes a report. Returns whether the entries of the service are to be looked at: a failure after an answer changes
    /// nothing, the last endpoints stay.
    pub(super) fn take(&self, report: Report) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let state = match report.news {
            News::Listed(service) => Known::Listed(service),
            News::Missing => Known::Missing,
            News::Failed(_) => match known.get(&report.service) {
                None | Some((Known::Failed, ..)) => Known::Failed,
                Some(_) => return false,
            },
        };
        known.insert(report.service, (state, report.received, report.round));
        true
    }

    pub(super) fn get(&self, service: &ServiceKey) -> Option<(Known, Instant)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(service).map(|(known, received, _)| (known.clone(), *received))
    }

    /// The same, unless it was asked for before the present round began.
    pub(super) fn current(&self, service: &ServiceKey) -> Option<(Known, Instant)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (state, received, round) = known.get(service)?;
        (*round == self.round()).then(|| (state.clone(), *received))
    }

    /// The round whose answers count.
    pub(super) fn round(&self) -> u64 {
        self.round.load(Ordering::Acquire)
    }

    /// Only what is asked for from now on counts. Returns the round.
    pub(super) fn next_round(&self) -> u64 {
        self.round.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Forgets services that nobody wants.
    pub(super) fn retain(&self, wanted: impl Fn(&ServiceKey) -> bool) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|service, _| wanted(service));
    }
}
