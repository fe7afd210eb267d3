//! What has been reported of each wanted service, and what waits to be: the rules on when something is news at all.
//!
//! Both kinds of registry tell it every answer; it lets through what changed. What the receiver has not taken yet is replaced
//! by what is newer, service by service, so a slow receiver costs neither memory nor a stalled follower.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use polaris2istio_core::model::Service;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::decode::Content;
use super::service_update::Confirmations;
use super::size::{KEPT_LIMIT, size};
use super::{RegistryError, Report, ServiceKey, ServiceUpdate};

/// How many services may fail in the same way before their lines are no longer logged one by one.
const LOGGED_PER_KIND: usize = 5;

/// Content that is taken even where all services together take too much.
const SMALL: usize = 16 << 10;

/// The state of all wanted services.
#[derive(Debug, Default)]
pub(super) struct ReportQueue {
    known: BTreeMap<ServiceKey, Known>,
    /// Services with something to report, each once.
    waiting: VecDeque<ServiceKey>,
    /// Kind of trouble -> how many services have it now.
    troubled: HashMap<&'static str, usize>,
    term: u64,
    /// What all contents take in memory.
    kept: usize,
}

#[derive(Debug, Default)]
struct Known {
    content: Option<Reported>,
    /// What the content takes in memory.
    size: usize,
    /// PollFigures the answers that gave this content.
    confirmations: Confirmations,
    /// The kinds of trouble reported since the last sound answer.
    troubles: Vec<&'static str>,
    /// The next sound answer is reported, whatever it says.
    repeat: bool,
    /// When it was received, and in which term.
    pending_content: Option<(Instant, u64)>,
    pending_trouble: Option<(Arc<RegistryError>, Instant)>,
}

#[derive(Debug, Clone)]
enum Reported {
    Listed(Arc<Service>),
    Missing,
}

impl Reported {
    /// Whether the content is the same, under whatever revision.
    fn holds(&self, content: &Content) -> bool {
        match (self, content) {
            (Self::Listed(old), Content::Listed(new)) => {
                old.namespace == new.namespace
                    && old.name == new.name
                    && old.metadata == new.metadata
                    && old.instances == new.instances
            }
            (Self::Missing, Content::Missing) => true,
            _ => false,
        }
    }
}

impl ReportQueue {
    /// Takes a service in; one that is known already stays as it is. Returns whether it is new.
    pub(super) fn want(&mut self, service: &ServiceKey) -> bool {
        let new = !self.known.contains_key(service);
        if new {
            self.known.insert(service.clone(), Known::default());
        }
        new
    }

    /// Drops all that is known of a service, and what waits to be reported.
    pub(super) fn forget(&mut self, service: &ServiceKey) {
        if let Some(mut known) = self.known.remove(service) {
            settle(&mut known, &mut self.troubled);
            self.kept -= known.size;
            self.waiting.retain(|waiting| waiting != service);
        }
    }

    /// From now on answers are of this term, and the next one of each service is reported in any case.
    pub(super) fn repeat(&mut self, term: u64) {
        self.term = term;
        self.known.values_mut().for_each(|known| known.repeat = true);
    }

    /// How many services are wanted.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &ServiceKey> {
        self.known.keys()
    }

    /// A sound answer came. Returns whether its content differs from the last one's.
    pub(super) fn answered(&mut self, service: &ServiceKey, content: Content, at: Instant) -> bool {
        let Some(known) = self.known.get_mut(service) else {
            return false;
        };
        let recovered = settle(known, &mut self.troubled);
        let changed = !known.content.as_ref().is_some_and(|reported| reported.holds(&content));
        if changed {
            known.confirmations = Confirmations::default();
        }
        known.confirmations.another();
        if changed {
            let (size, content) = match content {
                Content::Listed(service) => (size(&service), Reported::Listed(Arc::new(service))),
                Content::Missing => (0, Reported::Missing),
            };
            self.kept = self.kept - std::mem::replace(&mut known.size, size) + size;
            known.content = Some(content);
        }
        if std::mem::take(&mut known.repeat) || changed || recovered {
            self.publish(service, at, recovered);
        }
        changed
    }

    /// What all services together may take, if they would take more with this content.
    pub(super) fn over(&self, service: &ServiceKey, answer: &Service) -> Option<usize> {
        let (old, new) = (self.known.get(service).map_or(0, |known| known.size), size(answer));
        // What became smaller is always taken, and all that is small: a service that runs wild is no trouble of the others.
        (new > old && new > SMALL && self.kept - old + new > KEPT_LIMIT).then_some(KEPT_LIMIT)
    }

    /// Whether an answer lacks an instance that the last one listed.
    pub(super) fn would_lose(&self, service: &ServiceKey, answer: &Service) -> bool {
        let Some(Reported::Listed(last)) = self.known.get(service).and_then(|known| known.content.as_ref()) else {
            return false;
        };
        let listed: HashSet<_> = answer.instances.iter().map(|instance| &instance.id).collect();
        last.instances.iter().any(|instance| !listed.contains(&instance.id))
    }

    /// The registry said that the last answer stands. Returns false where there is none.
    pub(super) fn unchanged(&mut self, service: &ServiceKey, at: Instant) -> bool {
        let Some(known) = self.known.get_mut(service) else {
            return true;
        };
        if known.content.is_none() {
            return false;
        }
        known.confirmations.another();
        let repeat = std::mem::take(&mut known.repeat);
        let recovered = settle(known, &mut self.troubled);
        if repeat || recovered {
            self.publish(service, at, recovered);
        }
        true
    }

    /// The registry as a whole still says what it said, but for the services that fail.
    pub(super) fn all_unchanged(&mut self) {
        let sound = self.known.values().filter(|known| known.content.is_some() && known.troubles.is_empty());
        sound.for_each(|known| known.confirmations.another());
    }

    /// No answer could be had or understood. Reported, and logged, once for each kind of trouble.
    pub(super) fn failed(&mut self, service: &ServiceKey, error: &Arc<RegistryError>, at: Instant) {
        if self.note(service, error, at) {
            let count = self.troubled.get(error.kind()).copied().unwrap_or_default();
            if count <= LOGGED_PER_KIND {
                warn!(service = %service, kind = error.kind(), "{error}");
            } else {
                debug!(service = %service, kind = error.kind(), "{error}");
            }
            if count == LOGGED_PER_KIND + 1 {
                warn!(kind = error.kind(), "more services fail in the same way; they are not logged one by one");
            }
        }
    }

    /// The registry as a whole fails: every service hears of it. The caller logs it, once.
    pub(super) fn all_failed(&mut self, error: &Arc<RegistryError>, at: Instant) {
        let services: Vec<ServiceKey> = self.known.keys().cloned().collect();
        for service in &services {
            self.note(service, error, at);
        }
    }

    /// Like [`Self::failed`], for trouble that has been logged already.
    pub(super) fn failed_quietly(&mut self, service: &ServiceKey, error: &Arc<RegistryError>, at: Instant) {
        self.note(service, error, at);
    }

    fn note(&mut self, service: &ServiceKey, error: &Arc<RegistryError>, at: Instant) -> bool {
        let Some(known) = self.known.get_mut(service) else {
            return false;
        };
        if known.troubles.contains(&error.kind()) {
            return false;
        }
        known.troubles.push(error.kind());
        *self.troubled.entry(error.kind()).or_default() += 1;
        let idle = known.pending_content.is_none() && known.pending_trouble.is_none();
        known.pending_trouble = Some((Arc::clone(error), at));
        if idle {
            self.waiting.push_back(service.clone());
        }
        true
    }

    fn publish(&mut self, service: &ServiceKey, at: Instant, recovered: bool) {
        let Some(known) = self.known.get_mut(service) else {
            return;
        };
        if recovered {
            debug!(service = %service, "answered again");
        }
        let idle = known.pending_content.is_none() && known.pending_trouble.is_none();
        known.pending_content = Some((at, self.term));
        known.pending_trouble = None;
        if idle {
            self.waiting.push_back(service.clone());
        }
    }

    /// Whether a report waits.
    pub(super) fn has_reports(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn next_report(&mut self) -> Option<Report> {
        let service = self.waiting.pop_front()?;
        let known = self.known.get_mut(&service)?;
        let confirmations = known.confirmations.clone();
        // The content first: a failure says that the last content stands, so the receiver must have it.
        if let Some((received, term)) = known.pending_content.take() {
            if known.pending_trouble.is_some() {
                self.waiting.push_front(service.clone());
            }
            let news = match known.content.clone()? {
                Reported::Listed(content) => ServiceUpdate::Listed(content),
                Reported::Missing => ServiceUpdate::Missing,
            };
            return Some(Report { service, news, confirmations, received, term });
        }
        let (error, received) = known.pending_trouble.take()?;
        Some(Report { service, news: ServiceUpdate::Failed(error), confirmations, received, term: self.term })
    }
}

/// Ends a service's troubles; returns whether it had any.
fn settle(known: &mut Known, troubled: &mut HashMap<&'static str, usize>) -> bool {
    if known.troubles.is_empty() {
        return false;
    }
    for kind in known.troubles.drain(..) {
        if let Some(count) = troubled.get_mut(kind) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                troubled.remove(kind);
                info!(kind, "no service fails in this way any more");
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, bytes: usize) -> Service {
        let metadata = vec![("k".to_owned(), "x".repeat(bytes))];
        let (namespace, name, revision) = ("shop".into(), name.into(), String::new());
        Service { namespace, name, revision, metadata, instances: Vec::new() }
    }

    #[test]
    fn all_services_together_are_bounded() {
        let (a, b, now) = (ServiceKey::new("shop", "a"), ServiceKey::new("shop", "b"), Instant::now());
        let mut ledger = ReportQueue::default();
        assert!(ledger.want(&a) && ledger.want(&b));
        let over = |ledger: &ReportQueue, bytes| ledger.over(&b, &service("b", bytes)).is_some();
        assert!(!over(&ledger, 100 << 20));
        ledger.answered(&a, Content::Listed(service("a", 100 << 20)), now);
        assert!(over(&ledger, 30 << 20));
        assert!(!over(&ledger, 20 << 20) && !over(&ledger, 1 << 10));
        ledger.answered(&b, Content::Listed(service("b", 20 << 20)), now);
        assert!(over(&ledger, 30 << 20) && !over(&ledger, 19 << 20));
        // What is gone makes room, whichever way it went.
        ledger.answered(&a, Content::Missing, now);
        assert!(!over(&ledger, 100 << 20));
        ledger.answered(&a, Content::Listed(service("a", 100 << 20)), now);
        ledger.forget(&a);
        assert!(!over(&ledger, 100 << 20));
    }
}
