//! What the controller remembers of one entry between two looks at it.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;

use super::report::EntryReport;
use crate::converter::Identity;
use crate::guard::{Guard, Kind};
use crate::hash::hash;
use crate::istio::ServiceEntry;
use crate::log_once::LogOnce;
use crate::plan::{self, Desired};
use crate::registry::ServiceKey;
use crate::rollout::LastPublished;
use crate::telemetry::Condition;
use crate::writes::FlapDamper;

/// How often a module is asked without `published`, so that one that is stuck on `unchanged` is found out.
const FULL_EVERY: Duration = Duration::from_secs(600);
/// When content that was refused is tried again: at first, and at the longest after doubling. It would be refused for good by
/// the API server's own rules; but a webhook or a policy that refuses has the same words, and may be mended any time.
const REFUSED_RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

#[derive(Default)]
pub(super) struct EntryState {
    uid: Option<String>,
    /// The term that it was looked at in.
    term: u64,
    pub(super) guard: Guard,
    pub(super) damper: FlapDamper,
    /// Who gave what the entry was last given.
    pub(super) by: Option<Arc<Identity>>,
    /// What the module gave for what the entry holds.
    published: Option<Published>,
    /// What was published last, while the entry holds something else.
    parked: Option<Published>,
    /// What another module had published before.
    before: Option<Published>,
    /// The last write, until the watch shows it.
    written: Option<Written>,
    refused: Option<Refused>,
    /// Tries in a row that the server did not take.
    pub(super) failures: u32,
    /// What was said last, so that it is said once.
    said: LogOnce,
    /// Answers after this one have not led to a write yet that would be measured.
    pub(super) measured: Option<tokio::time::Instant>,
    /// What is wrong with annotations: with ours by the last look, and with others by the module's last answer.
    pub(super) annotations: [String; 2],
    /// What was told by Events and is not over, and in which term it was.
    pub(super) told: BTreeMap<Condition, (String, u64)>,
    /// For those who look on.
    pub(super) report: EntryReport,
    /// The holds that were told.
    pub(super) held: Vec<Kind>,
    /// Whether the next write takes something away on purpose.
    pub(super) urgent: bool,
    /// Whether writes were stopped at the last look.
    pub(super) stopped: bool,
    /// How the last look ended.
    pub(super) status: Option<SyncStatus>,
}

/// How a look at an entry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncStatus {
    /// It holds what it should.
    Synced,
    /// It would be written, and a person has to let writes go on.
    Paused,
    /// Endpoints are held that would have disappeared.
    Held,
    /// It could not be served; the log says why.
    Failed,
}

struct Published {
    by: Arc<Identity>,
    service: ServiceKey,
    desired: Desired,
    revision: Option<String>,
    full_at: Instant,
}

struct Written {
    /// The versions that were written over, and that the watch may still show.
    bases: Vec<Option<String>>,
    entry: Arc<ServiceEntry>,
}

struct Refused {
    desired: Desired,
    version: Option<String>,
    at: Instant,
    /// Until it is tried again.
    wait: Duration,
}

impl EntryState {
    /// The entry as it is, as far as we know: our own write is known before the watch shows it.
    pub(super) fn freshest(&mut self, seen: Arc<ServiceEntry>) -> Arc<ServiceEntry> {
        if self.uid != seen.metadata.uid {
            *self = Self { uid: seen.metadata.uid.clone(), term: self.term, ..Self::default() };
        }
        let version = &seen.metadata.resource_version;
        match &self.written {
            Some(written) if written.entry.metadata.resource_version == *version => {}
            Some(written) if written.bases.contains(version) => return Arc::clone(&written.entry),
            _ => {}
        }
        self.written = None;
        seen
    }

    /// Whoever begins to write begins with holds of his own, and says what there is to say. What this process has told in an
    /// earlier term is kept until a look finds it over, so that its Event does not stay the last word. What a former leader
    /// told is not known here: its Events expire.
    pub(super) fn enter(&mut self, term: u64) {
        self.measured.get_or_insert_with(tokio::time::Instant::now);
        if std::mem::replace(&mut self.term, term) != term {
            self.guard.restart();
            self.held.clear();
            self.said.clear();
            self.report.problems.retain(|condition, _| self.told.contains_key(condition));
        }
    }

    /// Who gave what the entry holds, and what he called it: only while the entry holds just that.
    pub(super) fn memory(&self, service: &ServiceKey, live: &ServiceEntry, now: Instant) -> LastPublished {
        let current = self.published.as_ref().filter(|published| {
            published.service == *service
                && now.duration_since(published.full_at) < FULL_EVERY
                && plan::holds(&published.desired, live)
        });
        let revision = current.filter(|published| Some(&published.by) == self.by.as_ref());
        LastPublished { by: self.by.clone(), revision: revision.and_then(|published| published.revision.clone()) }
    }

    /// Notes that the entry holds what the module gave, with nothing held back.
    pub(super) fn publish(
        &mut self,
        by: Arc<Identity>,
        service: &ServiceKey,
        desired: Desired,
        revision: Option<String>,
        now: Instant,
    ) {
        let published = Published { by, service: service.clone(), desired, revision, full_at: now };
        let changed = |last: &Published| last.by != published.by;
        if let Some(last) = self.published.take().or(self.parked.take()).filter(changed) {
            self.before = Some(last);
        }
        self.published = Some(published);
    }

    /// Notes that the entry holds something else than the module gave.
    pub(super) fn unpublish(&mut self) {
        self.parked = self.published.take().or(self.parked.take());
    }

    /// Whether this is what a module had published before another one changed it.
    pub(super) fn restores(&self, by: &Identity, desired: &Desired) -> bool {
        let known = [&self.before, &self.parked].into_iter().flatten().find(|known| *known.by == *by);
        known.is_some_and(|known| known.desired.endpoints == desired.endpoints)
    }

    /// When to look again without a reason. Spread by name, so that a thousand entries do not come at once.
    pub(super) fn full_in(&self, name: &str, now: Instant) -> Duration {
        let spread = Duration::from_millis(hash(name) % 60_000);
        let due = self.published.as_ref().map_or(now, |published| published.full_at) + FULL_EVERY + spread;
        due.saturating_duration_since(now)
    }

    /// Notes a write: the entry as it was, and as it is.
    pub(super) fn wrote(&mut self, base: &ServiceEntry, entry: ServiceEntry, desired: &Desired, now: Instant) {
        let mut bases = self.written.take().map(|written| written.bases).unwrap_or_default();
        bases.push(base.metadata.resource_version.clone());
        self.written = Some(Written { bases, entry: Arc::new(entry) });
        let Desired { resolution, location, ports, endpoints, annotations, revision: _ } = desired;
        self.damper.wrote(hash((resolution, location, ports, endpoints, annotations)), now);
        self.refused = None;
        self.failures = 0;
        self.urgent = false;
    }

    /// Notes that the server refused this content for this state of the entry.
    pub(super) fn refuse(&mut self, desired: Desired, live: &ServiceEntry, now: Instant) -> Duration {
        let (first, longest) = REFUSED_RETRY;
        let wait = self.refused.as_ref().map_or(first, |refused| (refused.wait * 2).min(longest));
        self.refused = Some(Refused { desired, version: live.metadata.resource_version.clone(), at: now, wait });
        wait
    }

    /// How long this content need not be tried, since it was refused for this state of the entry.
    pub(super) fn refused(&self, desired: &Desired, live: &ServiceEntry, now: Instant) -> Option<Duration> {
        let refused = self.refused.as_ref()?;
        let same = refused.version == live.metadata.resource_version && refused.desired == *desired;
        let rest = (refused.at + refused.wait).saturating_duration_since(now);
        (same && !rest.is_zero()).then_some(rest)
    }

    /// Whether this is to be logged: not if it was the last on the subject.
    pub(super) fn says(&mut self, subject: &'static str, text: impl Hash) -> bool {
        self.said.is_news(subject, text)
    }

    /// Whether something was logged on the subject, which is over now.
    pub(super) fn over(&mut self, subject: &'static str) -> bool {
        self.said.end(&subject)
    }
}

#[derive(Default)]
pub(super) struct Entries {
    tracked: Mutex<HashMap<ObjectRef<ServiceEntry>, Arc<tokio::sync::Mutex<EntryState>>>>,
}

impl Entries {
    pub(super) fn get(&self, entry: &ObjectRef<ServiceEntry>) -> Arc<tokio::sync::Mutex<EntryState>> {
        let mut tracked = self.tracked.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tracked.entry(entry.clone()).or_default())
    }

    pub(super) fn forget(&self, entry: &ObjectRef<ServiceEntry>) {
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner).remove(entry);
    }
}
