//! The follower's end: who wants what, and where answers go.
//!
//! Both kinds of registry tell it every answer; it lets through what changed, and logs what fails.

use std::sync::Arc;

use polaris2istio_core::model::Service;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::service_cache::Shared;
use super::subscriptions::{Changes, Noted, Subscriptions, Ticket};
use super::{Content, RegistryError, ServiceKey};

/// How many services may fail in the same way before their lines are no longer logged one by one.
const LOGGED_PER_KIND: usize = 5;

/// The follower's end of a [`ServiceCache`](super::ServiceCache).
#[derive(Debug)]
pub struct ReportQueue {
    shared: Arc<Shared>,
    changed: watch::Receiver<()>,
}

impl ReportQueue {
    pub(super) fn new(shared: Arc<Shared>, changed: watch::Receiver<()>) -> Self {
        Self { shared, changed }
    }

    /// Waits until subscriptions or the mode changed. Returns false once nobody can subscribe or read any more. Dropped
    /// while it waits, it loses nothing.
    pub(super) async fn changed(&mut self) -> bool {
        self.changed.changed().await.is_ok()
    }

    /// The changes since the last call; at first, all that there is.
    pub(super) fn take_changes(&mut self) -> Changes {
        self.changed.mark_unchanged();
        self.shared.lock().take_changes()
    }

    /// How many services are subscribed to.
    pub(super) fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// All services that are subscribed to, with the ticket to ask by.
    pub(super) fn tickets(&self) -> Vec<(Arc<ServiceKey>, Ticket)> {
        self.shared.lock().tickets()
    }

    /// A sound answer came. Returns whether its content differs from the last one's; `None` if the ticket does not count
    /// any more, and so nothing was kept.
    pub(super) fn answered(&self, service: &ServiceKey, ticket: Ticket, content: Content, at: Instant) -> Option<bool> {
        self.change(|subscriptions| subscriptions.answered(service, ticket, content, at))
    }

    /// The registry said that the last answer stands. Returns whether there is one; a ticket that does not count any more
    /// is passed over.
    pub(super) fn unchanged(&self, service: &ServiceKey, ticket: Ticket, at: Instant) -> bool {
        self.change(|subscriptions| subscriptions.unchanged(service, ticket, at))
    }

    /// The registry as a whole still says what it said, but for the services that fail.
    pub(super) fn all_unchanged(&self) {
        self.shared.lock().all_unchanged();
    }

    /// No answer could be had or understood. Reported, and logged, once for each kind of trouble.
    pub(super) fn failed(&self, service: &ServiceKey, ticket: Ticket, error: &Arc<RegistryError>, at: Instant) {
        let noted = self.change(|subscriptions| subscriptions.failed(service, ticket, error, at));
        let Noted::New(count) = noted else { return };
        if count <= LOGGED_PER_KIND {
            warn!(%service, kind = error.kind(), "{error}");
        } else {
            debug!(%service, kind = error.kind(), "{error}");
        }
        if count == LOGGED_PER_KIND + 1 {
            warn!(kind = error.kind(), "more services fail in the same way; they are not logged one by one");
        }
    }

    /// The registry as a whole fails: every service hears of it. The caller logs it, once.
    pub(super) fn all_failed(&self, error: &Arc<RegistryError>, at: Instant) {
        self.change(|subscriptions| subscriptions.all_failed(error, at));
    }

    /// Like [`Self::failed`], for trouble that has been logged already.
    pub(super) fn failed_quietly(&self, service: &ServiceKey, ticket: Ticket, error: &Arc<RegistryError>, at: Instant) {
        self.change(|subscriptions| subscriptions.failed(service, ticket, error, at));
    }

    /// The limit of all services together, if they would go over it with this answer.
    pub(super) fn over(&self, service: &ServiceKey, answer: &Service) -> Option<usize> {
        self.shared.lock().over(service, answer)
    }

    /// Whether an answer lacks an instance that the last one listed.
    pub(super) fn would_lose(&self, service: &ServiceKey, answer: &Service) -> bool {
        self.shared.lock().would_lose(service, answer)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Subscriptions) -> T) -> T {
        let mut subscriptions = self.shared.lock();
        let changed = change(&mut subscriptions);
        if subscriptions.has_reports() {
            self.shared.reports.notify_one();
        }
        changed
    }
}
