//! The reader's end of following a registry: the state of each service that is subscribed to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::subscriptions::Subscriptions;
use super::{PollMode, Report, ReportQueue, ServiceKey, ServiceState};

/// The states of services, and the way to subscribe to them. The follower ends when the last handle is dropped, subscriptions
/// included.
#[derive(Debug)]
pub struct ServiceCache {
    shared: Arc<Shared>,
    /// Tells the follower that subscriptions or the mode changed.
    changes: watch::Sender<()>,
}

/// The part that both ends share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    subscriptions: Mutex<Subscriptions>,
    /// Tells the reader that reports wait.
    pub(super) reports: Notify,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Subscriptions> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscription to a service; it ends with the value. Whoever subscribes anew is told anew.
#[derive(Debug)]
#[must_use = "the subscription ends when it is dropped"]
pub struct Subscription {
    cache: Arc<ServiceCache>,
    service: ServiceKey,
    number: u64,
}

impl ServiceCache {
    /// Both ends: this one, and the one to follow a registry with.
    pub fn new() -> (Arc<Self>, ReportQueue) {
        let shared = Arc::<Shared>::default();
        let (changes, changed) = watch::channel(());
        let queue = ReportQueue::new(Arc::clone(&shared), changed);
        (Arc::new(Self { shared, changes }), queue)
    }

    /// Subscribes to a service. A subscription to it that there was before ends.
    pub fn subscribe(self: &Arc<Self>, service: &ServiceKey) -> Subscription {
        let number = self.shared.lock().subscribe(service);
        self.changes.send_replace(());
        Subscription { cache: Arc::clone(self), service: service.clone(), number }
    }

    /// Changes how the registry is followed. In another term, nothing counts as current that was asked for before.
    pub fn change_mode(&self, change: impl FnOnce(&mut PollMode)) {
        self.shared.lock().change_mode(change);
        self.changes.send_replace(());
    }

    /// The term whose answers count.
    pub fn term(&self) -> u64 {
        self.shared.lock().mode().term
    }

    /// The state of a service, in whatever term; `None` if nobody subscribes to it.
    pub fn get(&self, service: &ServiceKey) -> Option<ServiceState> {
        self.shared.lock().state(service).cloned()
    }

    /// The same; `None` as well if nothing was heard yet, or its answer was asked for before the present term began.
    pub fn current(&self, service: &ServiceKey) -> Option<ServiceState> {
        let subscriptions = self.shared.lock();
        let state = subscriptions.state(service)?;
        let current = match &state.last {
            Some(last) => last.term == subscriptions.mode().term,
            None => state.trouble.is_some(),
        };
        current.then(|| state.clone())
    }

    /// The next report, for one reader. Dropped while it waits, it loses nothing.
    pub async fn next_report(&self) -> Report {
        loop {
            if let Some(report) = self.shared.lock().next_report() {
                return report;
            }
            self.shared.reports.notified().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.cache.shared.lock().unsubscribe(&self.service, self.number);
        self.cache.changes.send_replace(());
    }
}
