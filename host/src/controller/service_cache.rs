//! What the registry said last of each service that some entry follows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use polaris2istio_core::model::Service;
use tokio::time::Instant;

use crate::registry::{Confirmations, RegistryError, Report, ServiceKey, ServiceUpdate};

/// The last that is known of a service.
#[derive(Clone)]
pub(super) enum Known {
    Listed(Arc<Service>),
    Missing,
    /// There was no answer yet, only a failure.
    Failed,
}

/// Why a service cannot be asked now. What was known of it before stands.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What went wrong last.
    pub error: Arc<RegistryError>,
    pub since: Instant,
}

/// What is known of a service, and how it came to be known.
#[derive(Clone)]
pub(super) struct ServiceState {
    pub(super) known: Known,
    /// None where the last answer is sound.
    pub(super) trouble: Option<Trouble>,
    /// When the answer came.
    pub(super) received: Instant,
    /// Answers with other content that were taken before.
    earlier: u64,
    term: u64,
    confirmations: Confirmations,
}

impl ServiceState {
    /// How many sound answers there were of all that was taken. One that says something new counts once it is taken.
    pub(super) fn answers(&self) -> u64 {
        self.earlier + self.confirmations.count()
    }
}

#[derive(Default)]
pub(super) struct ServiceCache {
    known: RwLock<HashMap<ServiceKey, ServiceState>>,
    term: AtomicU64,
}

impl ServiceCache {
    /// Takes a report. Returns whether the entries of the service are to be looked at: a failure after an answer changes
    /// nothing, the last endpoints stay; it is kept for those who ask.
    pub(super) fn take(&self, report: Report) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let (state, trouble) = match report.news {
            ServiceUpdate::Listed(service) => (Known::Listed(service), None),
            ServiceUpdate::Missing => (Known::Missing, None),
            ServiceUpdate::Failed(error) => {
                let heard = known.get_mut(&report.service);
                let before = heard.as_ref().and_then(|heard| heard.trouble.as_ref());
                let since = before.map_or(report.received, |trouble| trouble.since);
                let trouble = Some(Trouble { error, since });
                match heard {
                    None | Some(ServiceState { known: Known::Failed, .. }) => (Known::Failed, trouble),
                    Some(heard) => {
                        heard.trouble = trouble;
                        return false;
                    }
                }
            }
        };
        let earlier =
            known.get(&report.service).map_or(0, |heard| match heard.confirmations.is_same(&report.confirmations) {
                true => heard.earlier,
                false => heard.answers(),
            });
        let Report { service, confirmations, received, term, .. } = report;
        known.insert(service, ServiceState { known: state, trouble, received, earlier, term, confirmations });
        true
    }

    pub(super) fn get(&self, service: &ServiceKey) -> Option<ServiceState> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(service).cloned()
    }

    /// The same, unless it was asked for before the present term began.
    pub(super) fn current(&self, service: &ServiceKey) -> Option<ServiceState> {
        self.get(service).filter(|heard| heard.term == self.term())
    }

    /// The term whose answers count.
    pub(super) fn term(&self) -> u64 {
        self.term.load(Ordering::Acquire)
    }

    /// Only what is asked for from now on counts. Returns the term.
    pub(super) fn next_term(&self) -> u64 {
        self.term.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Forgets services that nobody wants.
    pub(super) fn retain(&self, wanted: impl Fn(&ServiceKey) -> bool) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|service, _| wanted(service));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_failure_stands_beside_what_is_known_until_an_answer() {
        let (services, service) = (ServiceCache::default(), ServiceKey::new("shop", "cart"));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let failure = |problem: &str| {
            let (origin, problem) = ("a".into(), problem.into());
            ServiceUpdate::Failed(Arc::new(RegistryError::NotJson { origin, problem }))
        };
        // What comes when, whether entries are looked at, and since when there is what trouble.
        let rows = [
            (1, failure("none yet"), true, Some((1, "none yet"))),
            (2, ServiceUpdate::Missing, true, None),
            (3, failure("cut"), false, Some((3, "cut"))),
            (4, failure("garbled"), false, Some((3, "garbled"))),
            (5, ServiceUpdate::Missing, true, None),
            (6, failure("cut"), false, Some((6, "cut"))),
        ];
        for (second, news, looked, trouble) in rows {
            let failed = matches!(news, ServiceUpdate::Failed(_));
            let (confirmations, received) = (Confirmations::default(), at(second));
            let report = Report { service: service.clone(), news, confirmations, received, term: 0 };
            assert_eq!(services.take(report), looked, "{second}");
            let heard = services.get(&service).unwrap();
            assert_eq!(heard.received == at(second), !failed || looked, "a failure is no answer");
            let seen = heard.trouble.as_ref().map(|trouble| (trouble.since, trouble.error.to_string()));
            match (seen, trouble) {
                (None, None) => {}
                (Some((since, words)), Some((expected, part))) => {
                    assert!(since == at(expected) && words.contains(part), "{second}: {words}");
                }
                (seen, expected) => panic!("{second}: {seen:?}, not {expected:?}"),
            }
        }
    }
}
