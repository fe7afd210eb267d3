//! ServiceEntries from a directory of YAML files, watched, with their results in an output directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::runtime::watcher::Event;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{error, info};

use super::EntryEvents;
use super::backend::{DirectoryBackend, Key, Removal};
use super::document::Contents;
use super::files::{Files, Listed};
use super::notes::Notes;
use crate::istio::ServiceEntry;
use crate::watch_dir::{DirError, DirNews, FileError, FileNews, WatchDir, WatchOptions};
use crate::writes::Reopened;

/// How often it is looked whether outputs are still there: one that is taken away at once is seen by no watch.
const OUTPUTS_EVERY: Duration = Duration::from_millis(500);

/// The ServiceEntries of a directory.
pub struct DirectoryEntries {
    backend: Arc<DirectoryBackend>,
    reopened: Reopened,
    entries: WatchDir<Contents, Unreadable>,
    outputs: WatchDir<(), Unreadable>,
    files: Files,
    notes: Notes,
    served: BTreeMap<Key, ServiceEntry>,
    queue: Vec<Event<ServiceEntry>>,
    /// When a document has been missing for long enough to be gone.
    gone_at: Option<Instant>,
    /// What earlier runs left in the output directory has been judged.
    swept: bool,
    started: bool,
}

/// A file that gives less than it is meant to.
pub(super) enum Unreadable {
    /// It cannot be read.
    File(FileError),
    /// Some of it cannot be used.
    Partly(Contents),
}

impl From<FileError> for Unreadable {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl DirectoryEntries {
    /// Reads the directory once, and watches it and the backend's output from then on. Entries without a namespace are of
    /// `namespace`; those of another one are passed over.
    /// `policies` is whether somebody carries policies out.
    pub fn new(
        path: &Path,
        backend: Arc<DirectoryBackend>,
        namespace: String,
        policies: bool,
    ) -> Result<Self, DirError> {
        let parse = |path: &Path, bytes: &[u8]| {
            let contents = Contents::read(bytes, &path.display().to_string());
            // As an error, it has a moment to become whole.
            if contents.errors.is_empty() { Ok(contents) } else { Err(Unreadable::Partly(contents)) }
        };
        let entries = WatchDir::new(path, WatchOptions::default(), is_entry_file, parse)?;
        // An output that is removed or edited is put back at once: nobody is expected to edit there.
        let at_once = WatchOptions { vanish_grace: Duration::ZERO, ..WatchOptions::default() };
        backend.recover(entries.path(), &namespace);
        let outputs = WatchDir::new(backend.output(), at_once, is_entry_file, |_, _| Ok(()))?;
        Ok(Self {
            reopened: backend.reopened(),
            backend,
            files: Files::new(namespace, policies),
            notes: Notes::default(),
            entries,
            outputs,
            served: BTreeMap::new(),
            queue: Vec::new(),
            gone_at: None,
            swept: false,
            started: false,
        })
    }

    pub fn events(self) -> EntryEvents {
        let mut every = interval(OUTPUTS_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        stream::unfold((self, every), |(mut source, mut every)| async move {
            let event = source.next(&mut every).await;
            Some((event, (source, every)))
        })
        .boxed()
    }

    async fn next(&mut self, every: &mut tokio::time::Interval) -> Event<ServiceEntry> {
        loop {
            if let Some(event) = self.queue.pop() {
                return event;
            }
            let gone_at = self.gone_at;
            tokio::select! {
                news = self.entries.next() => self.changed(news),
                news = self.outputs.next(), if self.started => self.rewritten(news),
                () = self.reopened.next(), if self.started => self.reopened(),
                keys = self.backend.doubted(), if self.started => self.look_at(&keys),
                _ = every.tick(), if self.started => self.look_at(&self.backend.taken_away()),
                () = sleep_until(gone_at.unwrap_or_else(Instant::now)), if gone_at.is_some() => self.update(),
            }
        }
    }

    fn changed(&mut self, news: DirNews<Contents, Unreadable>) {
        let files = match news {
            DirNews::Files(files) => files,
            DirNews::Failed(error) => return error!("{error}; the entries last read stay in force"),
            DirNews::Recovered => return info!("{} can be read again", self.entries.path().display()),
        };
        for (path, news) in files {
            match news {
                FileNews::Parsed(contents) | FileNews::Failed(Unreadable::Partly(contents)) => {
                    self.files.put(path, contents);
                }
                FileNews::Gone => self.files.remove(path),
                FileNews::Failed(Unreadable::File(error)) => self.files.unreadable(path, error.to_string()),
            }
        }
        self.update();
    }

    /// Brings what is served in line with what the files hold.
    fn update(&mut self) {
        let Listed { documents, present, notes, bystanders, passed_over } = self.files.list(&self.backend);
        self.gone_at = self.files.gone_at();
        self.backend.set_partial(!self.files.are_whole());
        let gone = self.backend.replace(documents, bystanders);
        let count = self.backend.keys().len();
        let not_read = not_read(self.entries.path());
        self.notes.say(notes.into_iter().chain(not_read.iter().map(|path| super::notes::not_read(path))));
        let mut events: Vec<_> = gone.into_iter().filter_map(|key| self.deleted(&key, &present)).collect();
        self.sweep(&present);
        if !self.started {
            super::notes::log_start(count, &passed_over, not_read.len());
        }
        events.extend(self.refresh());
        self.emit(events);
    }

    /// A document that is served no more: gone with its file, or let go because its labels went.
    fn deleted(&mut self, key: &Key, present: &BTreeSet<Key>) -> Option<Event<ServiceEntry>> {
        let entry = self.served.remove(key)?;
        if !present.contains(key) {
            self.backend.remove(key);
        }
        Some(Event::Delete(entry))
    }

    /// Removes what earlier runs wrote for entries that went while nobody ran. Only what was made from a file of this very
    /// directory is known to be ours to remove, and only once the whole directory can be read.
    fn sweep(&mut self, present: &BTreeSet<Key>) {
        if self.swept {
            return;
        }
        let whole = self.files.are_whole();
        let (served, entries) = (self.backend.keys(), self.entries.path().to_owned());
        let mut notes = Vec::new();
        for output in self.backend.outputs().into_iter().filter(|output| !served.contains(&output.key)) {
            let reason = if !output.origin.starts_with(&entries) {
                format!("it was made from {}, which is not in {}", output.origin.display(), entries.display())
            } else if present.contains(&output.key) {
                "its entry is there and is not served".into()
            } else if !whole {
                format!("its entry is in no file that can be read, and not all in {} can be", entries.display())
            } else {
                match self.backend.remove(&output.key) {
                    Removal::Removed | Removal::Nothing | Removal::Failed => continue,
                    Removal::Later => "its entry is gone, and nothing may be written now".into(),
                }
            };
            notes.push(super::notes::left_over(&output.path, &output.key, &reason));
        }
        self.notes.say_for_good(notes);
        self.swept = whole;
    }

    /// Looks at every served entry, and tells of those that are other than they were.
    fn refresh(&mut self) -> Vec<Event<ServiceEntry>> {
        let keys = self.backend.keys();
        keys.into_iter().filter_map(|key| self.look(&key)).collect()
    }

    fn look(&mut self, key: &Key) -> Option<Event<ServiceEntry>> {
        let Some(entry) = self.backend.live(key) else { return self.served.remove(key).map(Event::Delete) };
        let version = &entry.metadata.resource_version;
        if self.served.get(key).is_some_and(|served| served.metadata.resource_version == *version) {
            return None;
        }
        self.served.insert(key.clone(), entry.clone());
        Some(Event::Apply(entry))
    }

    fn look_at(&mut self, keys: &[Key]) {
        let events: Vec<_> = keys.iter().filter_map(|key| self.look(key)).collect();
        self.emit(events);
    }

    /// Outputs may be written again: they are brought in line with what was edited and deleted meanwhile.
    fn reopened(&mut self) {
        self.backend.catch_up();
        let events = self.refresh();
        self.emit(events);
    }

    fn rewritten(&mut self, news: DirNews<(), Unreadable>) {
        let DirNews::Files(files) = news else { return };
        let keys: Vec<_> = files.iter().filter_map(|(path, _)| self.backend.key_of(path)).collect();
        self.look_at(&keys);
    }

    /// Queues events; the first are told as a whole list, as kube's watcher does.
    fn emit(&mut self, events: Vec<Event<ServiceEntry>>) {
        let mut events = events;
        if !self.started {
            self.started = true;
            let listed = events.into_iter().map(|event| match event {
                Event::Apply(entry) => Event::InitApply(entry),
                other => other,
            });
            events = std::iter::once(Event::Init).chain(listed).chain([Event::InitDone]).collect();
        }
        // Taken from the end.
        events.reverse();
        self.queue.splice(0..0, events);
    }
}

/// Whether a file counts, by its name. Those that begin with a dot are editors' and kubelet's own.
pub fn is_entry_file(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    !name.starts_with('.') && matches!(ending.as_deref(), Some("yaml" | "yml" | "json"))
}

/// What lies in a directory and is not read: sub-directories, files of other names, pipes, and links that lead nowhere.
fn not_read(directory: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|file| file.path());
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let read = |path: &PathBuf| is_entry_file(&name(path)) && path.is_file();
    // What was renamed meanwhile is no more there to be told of.
    let there = |path: &PathBuf| path.symlink_metadata().is_ok();
    let mut paths: Vec<_> = files.filter(|path| !name(path).starts_with('.') && !read(path) && there(path)).collect();
    paths.sort();
    paths
}
