//! Publications: content that modules gave for an entry, now and before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::converter::Identity;
use crate::hash::hash;
use crate::istio::ServiceEntry;
use crate::plan::{Desired, plan};
use crate::registry::ServiceKey;
use crate::rollout::LastPublished;

/// How often a module is asked without `published`, so that one that is stuck on `unchanged` is found out.
const FULL_EVERY: Duration = Duration::from_secs(600);

/// The publications of one entry.
#[derive(Default)]
pub(super) struct Publications {
    /// The module that gave what the entry was last given.
    pub(super) by: Option<Arc<Identity>>,
    /// The one that the entry holds.
    current: Option<Publication>,
    /// The last one, while the entry holds something else.
    parked: Option<Publication>,
    /// The last one of another module.
    before: Option<Publication>,
}

/// Content that a module gave and that was written with nothing held back.
pub(super) struct Publication {
    pub(super) by: Arc<Identity>,
    pub(super) service: ServiceKey,
    pub(super) desired: Desired,
    /// The module's own revision of the content.
    pub(super) revision: Option<String>,
    /// When the module gave all of it.
    pub(super) full_at: Instant,
}

impl Publications {
    /// The module that gave what the entry holds, and its revision of that: only while the entry holds just that.
    pub(super) fn last(&self, service: &ServiceKey, live: &ServiceEntry, now: Instant) -> LastPublished {
        let current = self.current.as_ref().filter(|current| {
            current.service == *service
                && now.duration_since(current.full_at) < FULL_EVERY
                && plan(&current.desired, live).is_empty()
        });
        let revision = current.filter(|current| Some(&current.by) == self.by.as_ref());
        LastPublished { by: self.by.clone(), revision: revision.and_then(|current| current.revision.clone()) }
    }

    /// Notes that the entry holds what the module gave, with nothing held back.
    pub(super) fn publish(&mut self, publication: Publication) {
        let changed = |last: &Publication| last.by != publication.by;
        if let Some(last) = self.current.take().or(self.parked.take()).filter(changed) {
            self.before = Some(last);
        }
        self.current = Some(publication);
    }

    /// Notes that the entry holds something else than the module gave.
    pub(super) fn park(&mut self) {
        self.parked = self.current.take().or(self.parked.take());
    }

    /// Whether this is what a module had published before another one changed it.
    pub(super) fn restores(&self, by: &Identity, desired: &Desired) -> bool {
        let known = [&self.before, &self.parked].into_iter().flatten().find(|known| *known.by == *by);
        known.is_some_and(|known| known.desired.endpoints == desired.endpoints)
    }

    /// When to reconcile again without a reason. Spread by name, so that a thousand entries do not come at once.
    pub(super) fn full_in(&self, name: &str, now: Instant) -> Duration {
        let spread = Duration::from_millis(hash(name) % 60_000);
        let due = self.current.as_ref().map_or(now, |current| current.full_at) + FULL_EVERY + spread;
        due.saturating_duration_since(now)
    }
}
