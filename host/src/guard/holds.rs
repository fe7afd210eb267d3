//! All holds of the process: shown to the operator, who may release them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::fleet::{Alarm, Fleet};
use super::guard_input::Release;
use super::hold::{Hold, Kind};
use crate::percent::Percent;

/// The holds of all entries, by `namespace/name`, and the fleet's alarm. Share it in an `Arc`: the controller fills it,
/// others read it and release.
#[derive(Debug)]
pub struct Holds {
    fleet: Fleet,
    entries: Mutex<BTreeMap<String, Slot>>,
    promotions: AtomicU64,
    requeue: Notify,
    told: Mutex<Option<Alarm>>,
}

#[derive(Debug, Default)]
struct Slot {
    holds: Vec<Hold>,
    release: Option<Release>,
}

/// The change of the alarm since it was last asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmNews {
    Raised(Alarm),
    /// It is over: all instances are listed again, or released.
    Over,
}

impl Holds {
    /// No holds, with this `--fleet-limit`.
    pub fn new(fleet_limit: Percent) -> Self {
        Self {
            fleet: Fleet::new(fleet_limit),
            entries: Mutex::default(),
            promotions: AtomicU64::default(),
            requeue: Notify::new(),
            told: Mutex::default(),
        }
    }

    /// The entries that hold endpoints, with their holds.
    pub fn list(&self) -> Vec<(String, Vec<Hold>)> {
        let entries = self.lock();
        let holding = entries.iter().filter(|(_, slot)| !slot.holds.is_empty());
        holding.map(|(entry, slot)| (entry.clone(), slot.holds.clone())).collect()
    }

    /// The holds of an entry, given as `namespace/name`.
    pub fn of(&self, entry: &str) -> Vec<Hold> {
        self.lock().get(entry).map(|slot| slot.holds.clone()).unwrap_or_default()
    }

    /// The fleet's alarm, if it is on.
    pub fn alarm(&self) -> Option<Alarm> {
        self.fleet.alarm()
    }

    /// Releases the present holds of an entry, given as `namespace/name`. Returns whether it has any. Endpoints that vanish
    /// later are held as ever.
    pub fn release(&self, entry: &str) -> bool {
        let released = self.mark(Release::All, |name, slot| name == entry && !slot.holds.is_empty());
        released > 0
    }

    /// Releases the present holds of all entries, and ends the fleet's alarm. Returns the number of entries with holds.
    pub fn release_all(&self) -> usize {
        self.fleet.reset();
        self.mark(Release::All, |_, slot| !slot.holds.is_empty())
    }

    /// Ends the fleet's alarm, and releases the holds that it caused; other holds stay. Returns the number of entries
    /// concerned.
    pub fn release_fleet(&self) -> usize {
        self.fleet.reset();
        self.mark(Release::Fleet, |_, slot| slot.holds.iter().any(|hold| hold.kind == Kind::Fleet))
    }

    /// Notes that the operator has seen the changes of a new module and wants them: the endpoints that it drops with its next
    /// answer, entry by entry, are not held. To be called before that module is first asked. Later drops are held as ever.
    pub fn accept_module(&self) {
        self.promotions.fetch_add(1, Ordering::AcqRel);
        self.requeue.notify_one();
    }

    fn mark(&self, release: Release, concerned: impl Fn(&str, &Slot) -> bool) -> usize {
        let mut entries = self.lock();
        let concerned = entries.iter_mut().filter(|(name, slot)| concerned(name, slot));
        let count = concerned.map(|(_, slot)| slot.release = slot.release.max(Some(release))).count();
        drop(entries);
        self.requeue.notify_one();
        count
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    pub(crate) fn promotions(&self) -> u64 {
        self.promotions.load(Ordering::Acquire)
    }

    /// Waits until all entries are to be reconciled again.
    pub(crate) async fn requeued(&self) {
        self.requeue.notified().await;
    }

    /// Takes the operator's release of an entry since the last time.
    pub(crate) fn take_release(&self, entry: &str) -> Option<Release> {
        self.lock().get_mut(entry)?.release.take()
    }

    /// Notes the holds of an entry.
    pub(crate) fn note(&self, entry: &str, holds: &[Hold]) {
        let mut entries = self.lock();
        if !holds.is_empty() {
            entries.entry(entry.to_owned()).or_default().holds = holds.to_vec();
        } else if let Some(slot) = entries.get_mut(entry) {
            slot.holds.clear();
        }
    }

    /// Notes that an entry is gone.
    pub(crate) fn forget(&self, entry: &str) {
        self.lock().remove(entry);
        self.fleet.forget(entry);
    }

    /// The alarm's news, to be told once.
    pub(crate) fn alarm_news(&self) -> Option<AlarmNews> {
        let alarm = self.fleet.alarm();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let news = match (&*told, alarm) {
            (None, Some(alarm)) => AlarmNews::Raised(alarm),
            (Some(_), None) => AlarmNews::Over,
            _ => return None,
        };
        *told = alarm;
        drop(told);
        // Holds that would have ended by time do not any more.
        self.requeue.notify_one();
        Some(news)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
