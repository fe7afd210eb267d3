//! What the registry said last of each service that some entry follows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use polaris2istio_core::model::Service;
use tokio::time::Instant;

use crate::registry::{Agreed, News, Report, ServiceKey};

/// The last that is known of a service.
#[derive(Clone)]
pub(super) enum Known {
    Listed(Arc<Service>),
    Missing,
    /// There was no answer yet, only a failure.
    Failed,
}

/// What is known of a service, and how it came to be known.
#[derive(Clone)]
pub(super) struct Heard {
    pub(super) known: Known,
    /// When the answer came.
    pub(super) received: Instant,
    /// Answers with other content that were taken before.
    earlier: u64,
    round: u64,
    agreed: Agreed,
}

impl Heard {
    /// How many sound answers there were of all that was taken. One that says something new counts once it is taken.
    pub(super) fn answers(&self) -> u64 {
        self.earlier + self.agreed.count()
    }
}

/// Services by name.
#[derive(Default)]
pub(super) struct Services {
    known: RwLock<HashMap<ServiceKey, Heard>>,
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
                None | Some(Heard { known: Known::Failed, .. }) => Known::Failed,
                Some(_) => return false,
            },
        };
        let earlier = known.get(&report.service).map_or(0, |heard| match heard.agreed.is_same(&report.agreed) {
            true => heard.earlier,
            false => heard.answers(),
        });
        let heard =
            Heard { known: state, received: report.received, earlier, round: report.round, agreed: report.agreed };
        known.insert(report.service, heard);
        true
    }

    pub(super) fn get(&self, service: &ServiceKey) -> Option<Heard> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(service).cloned()
    }

    /// The same, unless it was asked for before the present round began.
    pub(super) fn current(&self, service: &ServiceKey) -> Option<Heard> {
        self.get(service).filter(|heard| heard.round == self.round())
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
