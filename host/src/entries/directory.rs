//! ServiceEntries from a directory of YAML files, watched, with their results in an output directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, stream};
use kube::runtime::watcher::Event;
use tracing::{error, info, warn};

use super::backend::{DirectoryBackend, Key};
use super::document::{Document, DocumentError};
use super::{EntryEvents, LABELS, selected};
use crate::istio::ServiceEntry;
use crate::watch_dir::{DirError, DirNews, FileError, FileNews, WatchDir, WatchOptions};
use crate::writes::Reopened;

/// The ServiceEntries of a directory.
pub struct DirectoryEntries {
    backend: Arc<DirectoryBackend>,
    reopened: Reopened,
    namespace: String,
    entries: WatchDir<Vec<Document>, Unreadable>,
    outputs: WatchDir<(), Unreadable>,
    /// What each file last gave.
    files: BTreeMap<PathBuf, Vec<Document>>,
    served: BTreeMap<Key, ServiceEntry>,
    queue: Vec<Event<ServiceEntry>>,
    started: bool,
}

/// A file that gives no entries now.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl DirectoryEntries {
    /// Reads the directory once, and watches it and the backend's output from then on. Entries without a namespace are of
    /// `namespace`; those of another one are passed over.
    pub fn new(path: &Path, backend: Arc<DirectoryBackend>, namespace: String) -> Result<Self, DirError> {
        let yaml = |name: &str| (name.ends_with(".yaml") || name.ends_with(".yml")) && !name.starts_with('.');
        let parse = |path: &Path, bytes: &[u8]| Ok(Document::parse_all(bytes, &path.display().to_string())?);
        let entries = WatchDir::new(path, WatchOptions::default(), yaml, parse)?;
        // An output that is removed or edited is put back at once: nobody is expected to edit there.
        let at_once = WatchOptions { vanish_grace: std::time::Duration::ZERO, ..WatchOptions::default() };
        let outputs = WatchDir::new(backend.output(), at_once, yaml, |_, _| Ok(()))?;
        Ok(Self {
            reopened: backend.reopened(),
            backend,
            namespace,
            entries,
            outputs,
            files: BTreeMap::new(),
            served: BTreeMap::new(),
            queue: Vec::new(),
            started: false,
        })
    }

    pub fn events(self) -> EntryEvents {
        stream::unfold(self, |mut source| async move {
            let event = source.next().await;
            Some((event, source))
        })
        .boxed()
    }

    async fn next(&mut self) -> Event<ServiceEntry> {
        loop {
            if let Some(event) = self.queue.pop() {
                return event;
            }
            tokio::select! {
                news = self.entries.next() => self.changed(news),
                news = self.outputs.next(), if self.started => self.rewritten(news),
                () = self.reopened.next(), if self.started => self.reopened(),
            }
        }
    }

    fn changed(&mut self, news: DirNews<Vec<Document>, Unreadable>) {
        let files = match news {
            DirNews::Files(files) => files,
            DirNews::Failed(error) => return error!("{error}; the entries last read stay in force"),
            DirNews::Recovered => return info!("{} can be read again", self.entries.path().display()),
        };
        for (path, news) in files {
            match news {
                FileNews::Parsed(documents) => drop(self.files.insert(path, documents)),
                FileNews::Gone => drop(self.files.remove(&path)),
                FileNews::Failed(error) => error!("{error}"),
            }
        }
        let gone = self.backend.replace(self.documents());
        let mut events: Vec<_> = gone.into_iter().filter_map(|key| self.deleted(&key)).collect();
        events.extend(self.refresh());
        self.emit(events);
    }

    /// All documents that are to be served, each with its file; the first file by name wins.
    fn documents(&self) -> BTreeMap<Key, (PathBuf, Document)> {
        let mut documents = BTreeMap::new();
        for (path, document) in self.files.iter().flat_map(|(path, all)| all.iter().map(move |one| (path, one))) {
            let mut document = document.clone();
            if document.value.pointer("/metadata/namespace").is_none() {
                document.entry.metadata.namespace = Some(self.namespace.clone());
            }
            let metadata = &document.entry.metadata;
            let key = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
            let title = document.entry.title();
            if key.0 != self.namespace {
                info!(entry = title, "{}: passed over: not in namespace {}", path.display(), self.namespace);
            } else if !selected(&document.entry) {
                let [manager, registry] = LABELS.map(|(key, value)| format!("{key}: {value}"));
                info!(
                    entry = title,
                    "{}: passed over: the labels `{manager}` and `{registry}` are not both there",
                    path.display()
                );
            } else if let Some((first, _)) = documents.get(&key) {
                let first: &PathBuf = first;
                warn!(
                    entry = title,
                    "{} and {} hold the same entry; the first one counts, remove one",
                    first.display(),
                    path.display()
                );
            } else {
                documents.insert(key, (path.clone(), document));
            }
        }
        documents
    }

    /// A document that is served no more: gone with its file, or let go because its labels went.
    fn deleted(&mut self, key: &Key) -> Option<Event<ServiceEntry>> {
        let entry = self.served.remove(key)?;
        let still_there = self
            .files
            .values()
            .flatten()
            .any(|document| document.entry.metadata.name.as_deref() == Some(key.1.as_str()));
        if !still_there {
            self.backend.remove(key);
        }
        Some(Event::Delete(entry))
    }

    /// Looks at every served entry, and tells of those that are other than they were.
    fn refresh(&mut self) -> Vec<Event<ServiceEntry>> {
        let keys = self.backend.keys();
        keys.into_iter().filter_map(|key| self.look(&key)).collect()
    }

    fn look(&mut self, key: &Key) -> Option<Event<ServiceEntry>> {
        let entry = self.backend.live(key)?;
        let version = &entry.metadata.resource_version;
        if self.served.get(key).is_some_and(|served| served.metadata.resource_version == *version) {
            return None;
        }
        self.served.insert(key.clone(), entry.clone());
        Some(Event::Apply(entry))
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
        let events: Vec<_> = keys.iter().filter_map(|key| self.look(key)).collect();
        self.emit(events);
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
