//! All holds of the process: shown to the operator, who may release them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::fleet::{Alarm, Fleet};
use super::guard_input::Release;
use super::hold::{Hold, Kind};
use super::notice::{Notice, NoticeKind};
use super::past::{GuardRecord, Past, PastHold};
use crate::clock;
use crate::hash::hash;
use crate::percent::Percent;

/// The last promotion of a module.
#[derive(Debug, Default)]
struct Promoted {
    number: u64,
    /// A hash of its identity.
    module: u64,
}

/// The holds of all entries, by `namespace/name`, and the fleet's alarm. Share it in an `Arc`: the controller fills it,
/// others read it and release.
#[derive(Debug)]
pub struct Holds {
    fleet: Fleet,
    entries: Mutex<BTreeMap<String, Slot>>,
    promoted: Mutex<Promoted>,
    requeue: Notify,
    /// Rings when what outlives the process may have changed.
    changed: Notify,
    /// Whether what was known before this process was lost.
    past_lost: AtomicBool,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Slot {
    holds: Vec<Hold>,
    release: Option<Release>,
    /// What the next process is to know.
    past: Vec<PastHold>,
    /// From before this process, and not taken up yet.
    is_of_before: bool,
}

#[derive(Debug, Default)]
struct Told {
    alarm: Option<Alarm>,
    notices: BTreeSet<NoticeKind>,
}

/// The change of the alarm since it was last asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmNews {
    Raised(Alarm),
    /// It is over: all instances are listed again, or released.
    Over,
    /// Something else about the whole fleet.
    Noticed(Notice),
    NoticeOver(NoticeKind),
}

impl Holds {
    /// No holds, with this `--fleet-limit`.
    pub fn new(fleet_limit: Percent) -> Self {
        Self {
            fleet: Fleet::new(fleet_limit),
            entries: Mutex::default(),
            promoted: Mutex::default(),
            requeue: Notify::new(),
            changed: Notify::new(),
            past_lost: AtomicBool::default(),
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

    /// What is told of the fleet beside the alarm.
    pub fn notices(&self) -> Vec<Notice> {
        self.fleet.notices(clock::now())
    }

    /// Goes on from what was held before this process began to write; `None` if that was lost.
    pub fn restore(&self, record: Option<&GuardRecord>) {
        self.past_lost.store(record.is_none(), Ordering::Release);
        self.fleet.restore(record.and_then(GuardRecord::alarm));
        let before = record.into_iter().flat_map(GuardRecord::holds);
        let slot = |past| Slot { past, is_of_before: true, ..Slot::default() };
        *self.lock() = before.map(|(entry, past)| (entry, slot(past))).collect();
        self.changed.notify_one();
    }

    /// Forgets what was held in a term that is over: another process holds it now.
    pub fn stand_by(&self) {
        self.fleet.restore(None);
        self.lock().clear();
    }

    /// What the next process is to know.
    pub fn record(&self) -> GuardRecord {
        let entries = self.lock();
        let holding = entries.iter().filter(|(_, slot)| !slot.past.is_empty());
        GuardRecord::new(self.fleet.alarm(), holding.map(|(entry, slot)| (entry, slot.past.as_slice())))
    }

    /// Waits until that may have changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
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
        self.changed.notify_one();
        self.mark(Release::All, |_, slot| !slot.holds.is_empty())
    }

    /// Ends the fleet's alarm, and releases the holds that it caused; other holds stay. Returns the number of entries
    /// concerned.
    pub fn release_fleet(&self) -> usize {
        self.fleet.reset();
        self.changed.notify_one();
        self.mark(Release::Fleet, |_, slot| slot.holds.iter().any(|hold| hold.kind == Kind::Fleet))
    }

    /// Notes that the operator has seen the changes of a module, by its identity, and wants them: the endpoints that it drops
    /// with its next answer, entry by entry, are not held. To be called before that module is first asked. Later drops are held
    /// as ever, and so are those of the module before, which is asked until each entry's turn comes.
    pub fn accept_module(&self, module: &impl Hash) {
        let mut promoted = self.promoted.lock().unwrap_or_else(PoisonError::into_inner);
        *promoted = Promoted { number: promoted.number + 1, module: hash(module) };
        drop(promoted);
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

    /// The number of the last promotion, if it was of this module; else zero.
    pub(crate) fn promotion(&self, module: u64) -> u64 {
        let promoted = self.promoted.lock().unwrap_or_else(PoisonError::into_inner);
        if promoted.module == module { promoted.number } else { 0 }
    }

    /// Waits until all entries are to be reconciled again.
    pub(crate) async fn requeued(&self) {
        self.requeue.notified().await;
    }

    /// Takes the operator's release of an entry since the last time.
    pub(crate) fn take_release(&self, entry: &str) -> Option<Release> {
        self.lock().get_mut(entry)?.release.take()
    }

    /// What is known of an entry from before this process, once.
    pub(crate) fn take_past(&self, entry: &str) -> Past {
        let mut entries = self.lock();
        match entries.get_mut(entry).filter(|slot| slot.is_of_before) {
            Some(slot) => {
                slot.is_of_before = false;
                Past::Holds(slot.past.clone())
            }
            None if self.past_lost.load(Ordering::Acquire) => Past::Lost,
            None => Past::Nothing,
        }
    }

    /// Notes the holds of an entry, and of these what the next process is to know.
    pub(crate) fn note(&self, entry: &str, holds: &[Hold], past: Vec<PastHold>) {
        let mut entries = self.lock();
        if holds.is_empty() && !entries.contains_key(entry) {
            return;
        }
        let slot = entries.entry(entry.to_owned()).or_default();
        slot.holds = holds.to_vec();
        if slot.past != past {
            slot.past = past;
            self.changed.notify_one();
        }
    }

    /// Notes that an entry is gone.
    pub(crate) fn forget(&self, entry: &str) {
        if self.lock().remove(entry).is_some() {
            self.changed.notify_one();
        }
        self.fleet.forget(entry);
    }

    /// The news of the whole fleet, to be told once.
    pub(crate) fn alarm_news(&self) -> Vec<AlarmNews> {
        let (alarm, notices) = (self.fleet.alarm(), self.notices());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news: Vec<_> = match (&told.alarm, alarm) {
            (None, Some(alarm)) => vec![AlarmNews::Raised(alarm)],
            (Some(_), None) => vec![AlarmNews::Over],
            _ => Vec::new(),
        };
        told.alarm = alarm;
        if !news.is_empty() {
            self.changed.notify_one();
            // Holds that would have ended by time do not any more.
            self.requeue.notify_one();
        }
        let kinds: BTreeSet<_> = notices.iter().map(|notice| notice.kind).collect();
        news.extend(told.notices.difference(&kinds).map(|kind| AlarmNews::NoticeOver(*kind)));
        let fresh = notices.into_iter().filter(|notice| !told.notices.contains(&notice.kind));
        news.extend(fresh.map(AlarmNews::Noticed));
        told.notices = kinds;
        news
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
