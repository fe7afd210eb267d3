//! Conditions of an entry, in one place: all that is wrong with it, in the status, by an Event to its owner, and in the log.

use std::collections::BTreeMap;
use std::hash::Hash;

use tracing::{error, info, warn};

use crate::istio::ServiceEntry;
use crate::log_once::LogOnce;
use crate::telemetry::{Condition, Events, History, HistoryKind};

/// The conditions of one entry.
#[derive(Default)]
pub(super) struct Conditions {
    current: BTreeMap<Condition, String>,
    /// Conditions that an Event told and that are not over, with the term in which it did.
    told: BTreeMap<Condition, (String, u64)>,
    /// Problems of annotations, by who found them.
    annotations: BTreeMap<Reader, String>,
    /// The last lines of the log, so that each is written once.
    lines: LogOnce<Line>,
}

/// A reader of annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reader {
    /// The host, at every reconciliation.
    Host,
    /// The module, with its last answer.
    Module,
}

/// The subject of a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Line {
    /// A condition.
    Condition(Condition),
    /// Annotations that the host cannot read.
    Annotations,
    /// A write that is blocked.
    Blocked,
    /// All that a module says.
    Diagnostics,
}

/// The owner of an entry, as Events reach it.
pub(super) struct Owner<'a> {
    pub(super) entry: &'a ServiceEntry,
    pub(super) events: &'a Events,
    pub(super) history: &'a History,
    pub(super) term: u64,
    /// Whether this process is the one that writes, and so the one that tells.
    pub(super) is_told: bool,
}

impl Conditions {
    /// Sets a condition, in the status, by an Event and in the log. An empty text clears it.
    pub(super) fn set(&mut self, condition: Condition, text: String, owner: &Owner<'_>) {
        self.set_for(condition, condition.reason(), text, owner);
    }

    /// The same, with a reason of its own for the Event.
    pub(super) fn set_for(&mut self, condition: Condition, reason: &'static str, text: String, owner: &Owner<'_>) {
        if text.is_empty() {
            return self.clear(condition, owner);
        }
        if self.is_news(Line::Condition(condition), &text) {
            log(condition, &text);
        }
        // The same is told once in a term: another process may have told something else between two terms.
        let told = (text.clone(), owner.term);
        if owner.is_told && self.told.get(&condition) != Some(&told) {
            owner.events.problem(owner.entry, condition, reason, &text);
            let kind = if condition == Condition::Held { HistoryKind::Hold } else { HistoryKind::Problem };
            owner.history.note(kind, &owner.entry.title(), &text, "");
            self.told.insert(condition, told);
        }
        self.note(condition, text);
    }

    /// Notes a condition for the status alone: it is not the entry's own, or not worth an Event.
    pub(super) fn note(&mut self, condition: Condition, text: String) {
        self.current.insert(condition, text);
    }

    /// Ends a condition: in the status, by an Event if one told it, and in the log.
    pub(super) fn clear(&mut self, condition: Condition, owner: &Owner<'_>) {
        self.current.remove(&condition);
        if self.end_line(Line::Condition(condition)) && condition == Condition::Conversion {
            info!("conversion succeeds again");
        }
        if owner.is_told
            && let Some((text, _)) = self.told.remove(&condition)
        {
            owner.events.solved(owner.entry, condition, &text);
            let kind = if condition == Condition::Held { HistoryKind::Release } else { HistoryKind::Solved };
            owner.history.note(kind, &owner.entry.title(), &format!("over: {text}"), "");
        }
    }

    /// Sets the problems that a reader of annotations finds; the condition is of both readers.
    pub(super) fn set_annotations(&mut self, reader: Reader, text: String, owner: &Owner<'_>) {
        self.annotations.insert(reader, text);
        let texts: Vec<_> = self.annotations.values().filter(|text| !text.is_empty()).cloned().collect();
        self.set(Condition::Annotation, texts.join("; "), owner);
    }

    /// Begins a term. A condition that this process has told in an earlier term is kept until a reconciliation finds it over,
    /// so that its Event does not stay the last word. Events of a former leader are not known here: they expire.
    pub(super) fn begin_term(&mut self) {
        self.lines.clear();
        self.current.retain(|condition, _| self.told.contains_key(condition));
    }

    /// All that is wrong.
    pub(super) fn current(&self) -> &BTreeMap<Condition, String> {
        &self.current
    }

    /// Whether a line is to be logged: not if it was the last on the subject.
    pub(super) fn is_news(&mut self, subject: Line, text: impl Hash) -> bool {
        self.lines.is_news(subject, text)
    }

    /// Ends a subject of the log. Returns whether something was logged on it.
    pub(super) fn end_line(&mut self, subject: Line) -> bool {
        self.lines.end(&subject)
    }
}

/// Logs a condition. Those that are left out have lines of their own, with figures or for each thing that is found.
fn log(condition: Condition, text: &str) {
    match condition {
        Condition::Conversion => error!("not converted, the last endpoints stay: {text}"),
        Condition::Write => error!("not written: {text}"),
        Condition::Contested => warn!("field conflict, left as it is: {text}; let one of the two decide"),
        Condition::Fight => warn!("{text}; writes are spaced out up to 10 s"),
        Condition::Rejected
        | Condition::Annotation
        | Condition::Held
        | Condition::Paused
        | Condition::Pending
        | Condition::Name
        | Condition::NamePending
        | Condition::VirtualIp
        | Condition::Registry => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_stands_until_it_is_cleared() {
        let (entry, events, history) = (ServiceEntry::default(), Events::default(), History::default());
        let owner = |is_told| Owner { entry: &entry, events: &events, history: &history, term: 1, is_told };
        let mut conditions = Conditions::default();
        conditions.set(Condition::Write, "refused".into(), &owner(true));
        conditions.set(Condition::Fight, "endpoints flap".into(), &owner(false));
        let words = |conditions: &Conditions| conditions.current().keys().map(|key| key.word()).collect::<Vec<_>>();
        assert_eq!(words(&conditions), ["write", "fight"]);
        conditions.begin_term();
        assert_eq!(words(&conditions), ["write"], "what was told is kept");
        conditions.set(Condition::Write, String::new(), &owner(true));
        assert_eq!(words(&conditions), [""; 0], "an empty text clears it");
    }

    #[test]
    fn both_readers_of_annotations_are_heard() {
        let (entry, events, history) = (ServiceEntry::default(), Events::default(), History::default());
        let owner = Owner { entry: &entry, events: &events, history: &history, term: 1, is_told: true };
        let mut conditions = Conditions::default();
        let mut check = |reader, text: &str, expected: Option<&str>| {
            conditions.set_annotations(reader, text.into(), &owner);
            assert_eq!(conditions.current().get(&Condition::Annotation).map(String::as_str), expected);
        };
        check(Reader::Module, "b", Some("b"));
        check(Reader::Host, "a", Some("a; b"));
        check(Reader::Module, "", Some("a"));
        check(Reader::Host, "", None);
    }
}
