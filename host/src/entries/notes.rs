//! What is said of a directory's files: each line once, for as long as it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tracing::{error, info, warn};

use super::backend::Key;
use crate::text::counted;

/// A line, and how much it matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Note {
    level: Level,
    entry: Option<String>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Error,
    Warning,
    Info,
}

/// The lines that hold now.
#[derive(Default)]
pub(super) struct Notes {
    said: BTreeSet<Note>,
    /// What does not end.
    said_for_good: BTreeSet<Note>,
}

impl Note {
    pub(super) fn error(text: String) -> Self {
        Self { level: Level::Error, entry: None, text }
    }

    pub(super) fn warning(entry: Option<String>, text: String) -> Self {
        Self { level: Level::Warning, entry, text }
    }

    pub(super) fn info(entry: Option<String>, text: String) -> Self {
        Self { level: Level::Info, entry, text }
    }

    fn log(&self) {
        let Self { level, entry, text } = self;
        match level {
            Level::Error => error!(entry, "{text}"),
            Level::Warning => warn!(entry, "{text}"),
            Level::Info => info!(entry, "{text}"),
        }
    }
}

impl Notes {
    /// Says those lines that did not hold before.
    pub(super) fn say(&mut self, notes: impl IntoIterator<Item = Note>) {
        let notes: BTreeSet<_> = notes.into_iter().collect();
        notes.difference(&self.said).for_each(Note::log);
        self.said = notes;
    }

    /// Says lines that never are to be said again.
    pub(super) fn say_for_good(&mut self, notes: Vec<Note>) {
        notes.iter().filter(|note| !self.said_for_good.contains(note)).for_each(Note::log);
        self.said_for_good.extend(notes);
    }
}

/// What lies among the entries' files and is none.
pub(super) fn not_read(path: &Path) -> Note {
    let what = if path.is_dir() {
        "sub-directories are not read; move its files up, or run another controller for it"
    } else if path.is_file() {
        "not read: files of entries end in .yaml, .yml or .json"
    } else {
        "not read: it is no file, or a link that leads nowhere; remove it, or put the file there"
    };
    Note::warning(None, format!("{}: {what}", path.display()))
}

/// An output of an earlier run that stays.
pub(super) fn left_over(path: &Path, (namespace, name): &Key, reason: &str) -> Note {
    let text = format!("{}: left over from an earlier run: {reason}; remove it where nobody needs it", path.display());
    Note::warning(Some(format!("{namespace}/{name}")), text)
}

/// Says once how much is served and how much is not.
pub(super) fn log_start(served: usize, passed_over: &BTreeMap<String, usize>, not_read: usize) {
    let count: usize = passed_over.values().sum();
    let reasons: Vec<_> = passed_over.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let be = |count| if count == 1 { "is" } else { "are" };
    let mut text = format!("{} {} served", counted(served, "entry"), be(served));
    if count > 0 {
        text += &format!(", {} {} passed over: {}", counted(count, "document"), be(count), reasons.join(", "));
    }
    if not_read > 0 {
        let what = if not_read == 1 { "file or sub-directory" } else { "files or sub-directories" };
        text += &format!("; {not_read} {what} {} not read", be(not_read));
    }
    info!("{text}");
}
