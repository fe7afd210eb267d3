//! The last changes, of each entry and of all: what was written, held, let go, went wrong or was over, who led, and why. In
//! memory alone and bounded: the log has all of it, and this answers at once to who asks what happened.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Changes that are kept of all entries together, in their order.
const RECENT: usize = 500;
/// Changes that are kept of one entry.
const OF_ENTRY: usize = 12;
/// Changes that are kept as those of their entries: some 3 MiB. Beyond, the oldest goes, of whichever entry.
const OF_ENTRIES: usize = 10_000;
/// The longest text, in bytes.
const TEXT: usize = 400;

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryKind {
    /// An entry was written.
    Write,
    /// Endpoints are held.
    Hold,
    /// Nothing is held any more.
    Release,
    /// Something is wrong.
    Problem,
    /// It is over.
    Solved,
    /// Another module converts, or waits, or was taken back.
    Module,
    /// Another process leads, or none.
    Leader,
    /// All writes stop, or go on.
    Pause,
    /// All services together: the fleet's alarm and notices.
    Fleet,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEvent {
    /// Its number in this process, from 1.
    pub number: u64,
    /// When it came to pass.
    pub at: Timestamp,
    pub kind: HistoryKind,
    /// `namespace/name`; empty if it is about no single entry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// The change in words.
    pub text: String,
    /// Why, in words; empty if the text says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
}

/// The changes that one process remembers.
#[derive(Debug, Default)]
pub struct History {
    rings: Mutex<Rings>,
    /// The number of the newest change.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Rings {
    recent: VecDeque<Arc<HistoryEvent>>,
    /// Those of entries, by number: the first is the oldest of all.
    of_entries: BTreeMap<u64, Arc<HistoryEvent>>,
    /// The numbers of each entry's changes.
    numbers: HashMap<String, VecDeque<u64>>,
}

impl History {
    /// Notes a change of one entry, or of none if `entry` is empty.
    pub fn note(&self, kind: HistoryKind, entry: &str, text: &str, cause: &str) {
        let now = Timestamp::now();
        let mut rings = self.lock();
        let number = *self.newest.borrow() + 1;
        rings.push(HistoryEvent {
            number,
            at: now.round(Unit::Millisecond).unwrap_or(now),
            kind,
            entry: entry.to_owned(),
            text: cut(text),
            cause: cut(cause),
        });
        self.newest.send_replace(number);
    }

    /// The last changes of an entry, the newest first.
    pub fn of(&self, entry: &str) -> Vec<HistoryEvent> {
        let rings = self.lock();
        let numbers = rings.numbers.get(entry).into_iter().flatten().rev();
        numbers.filter_map(|number| rings.of_entries.get(number).map(|event| (**event).clone())).collect()
    }

    /// The last changes of all entries and of the process, the newest first.
    pub fn recent(&self) -> Vec<HistoryEvent> {
        self.lock().recent.iter().rev().map(|event| (**event).clone()).collect()
    }

    /// The last changes with a number above this one, the oldest first.
    pub fn since(&self, number: u64) -> Vec<HistoryEvent> {
        self.lock().recent.iter().filter(|event| event.number > number).map(|event| (**event).clone()).collect()
    }

    /// The number of the newest change, for those who wait for the next.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Forgets the changes of an entry that is gone; those of all keep them for a while.
    pub fn forget(&self, entry: &str) {
        let mut rings = self.lock();
        for number in rings.numbers.remove(entry).unwrap_or_default() {
            rings.of_entries.remove(&number);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rings {
    fn push(&mut self, event: HistoryEvent) {
        let event = Arc::new(event);
        if !event.entry.is_empty() {
            let numbers = self.numbers.entry(event.entry.clone()).or_default();
            numbers.push_back(event.number);
            let oldest = if numbers.len() > OF_ENTRY { numbers.pop_front() } else { None };
            if let Some(oldest) = oldest {
                self.of_entries.remove(&oldest);
            }
            self.of_entries.insert(event.number, Arc::clone(&event));
            self.drop_oldest();
        }
        self.recent.push_back(event);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    fn drop_oldest(&mut self) {
        if self.of_entries.len() <= OF_ENTRIES {
            return;
        }
        let Some((_, oldest)) = self.of_entries.pop_first() else { return };
        if let Some(numbers) = self.numbers.get_mut(&oldest.entry) {
            // The oldest of all is the oldest of its entry.
            numbers.pop_front();
            if numbers.is_empty() {
                self.numbers.remove(&oldest.entry);
            }
        }
    }
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(TEXT)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(events: &[HistoryEvent]) -> Vec<&str> {
        events.iter().map(|event| event.text.as_str()).collect()
    }

    #[test]
    fn an_entrys_changes_stay_whatever_others_do() {
        let history = History::default();
        history.note(HistoryKind::Hold, "a/quiet", "held", "vanished");
        for number in 0..OF_ENTRIES {
            history.note(HistoryKind::Write, "a/busy", &number.to_string(), "");
        }
        assert_eq!(texts(&history.of("a/quiet")), ["held"]);
        assert_eq!(history.of("a/busy").len(), OF_ENTRY);
        assert_eq!(history.of("a/busy")[0].text, (OF_ENTRIES - 1).to_string(), "the newest is first");
        assert_eq!(history.recent().len(), RECENT);
        assert_eq!(history.lock().of_entries.len(), OF_ENTRY + 1);
    }

    #[test]
    fn many_entries_push_out_the_oldest_change() {
        let history = History::default();
        for number in 0..OF_ENTRIES + 5 {
            history.note(HistoryKind::Write, &format!("a/{number}"), "written", "");
        }
        assert!(history.of("a/4").is_empty());
        assert_eq!(history.of("a/5").len(), 1);
        let rings = history.lock();
        assert_eq!((rings.of_entries.len(), rings.numbers.len()), (OF_ENTRIES, OF_ENTRIES));
    }

    #[test]
    fn numbers_go_on_and_what_is_forgotten_is_gone() {
        let history = History::default();
        history.note(HistoryKind::Leader, "", "this replica leads", "");
        history.note(HistoryKind::Write, "a/b", &"é".repeat(TEXT), "");
        assert_eq!(*history.newest().borrow(), 2);
        assert_eq!(history.since(1).len(), 1);
        assert!(history.of("a/b")[0].text.len() < TEXT + 5);
        history.forget("a/b");
        assert!(history.of("a/b").is_empty() && history.lock().of_entries.is_empty());
        assert_eq!(history.recent().len(), 2);
    }
}
