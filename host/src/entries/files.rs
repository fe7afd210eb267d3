//! What the files of a directory hold, and which of it is served.
//!
//! A file is seen while it is written, too. So a document that is missing in its file has a moment to come back, as a file
//! that is missing in its directory has; and while something in a file cannot be used, what it gave before stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::backend::{DirectoryBackend, Documents, Key};
use super::document::{Contents, Document, POLICY_KIND};
use super::notes::Note;
use super::{LABELS, selected};
use crate::watch_dir::WatchOptions;

/// The files of a directory, as they last were.
pub(super) struct Files {
    namespace: String,
    /// Whether somebody carries policies out.
    policies: bool,
    files: BTreeMap<PathBuf, EntryFile>,
    /// Files that have gone since the last list.
    gone: BTreeSet<PathBuf>,
    /// Documents that are missing in a file that is there, and since when.
    missing: BTreeMap<Key, Instant>,
}

#[derive(Default)]
struct EntryFile {
    contents: Contents,
    /// Why it cannot be read now.
    unreadable: Option<String>,
    /// It gave something before it had errors.
    gave: bool,
}

/// What is to be served, and what there is to say of the rest.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) documents: Documents,
    /// All entries that have a document, served or not.
    pub(super) present: BTreeSet<Key>,
    pub(super) notes: Vec<Note>,
    /// Documents of the namespace that are not served for their labels.
    pub(super) bystanders: Documents,
    /// Documents that are not served, counted by the reason.
    pub(super) passed_over: BTreeMap<String, usize>,
}

impl Files {
    /// No files yet. Entries without a namespace are of this one, and those of another are passed over.
    pub(super) fn new(namespace: String, policies: bool) -> Self {
        Self { namespace, policies, files: BTreeMap::new(), gone: BTreeSet::new(), missing: BTreeMap::new() }
    }

    /// A file has this content.
    pub(super) fn put(&mut self, path: PathBuf, contents: Contents) {
        let gave = self.files.get(&path).is_some_and(EntryFile::has_given);
        self.files.insert(path, EntryFile { contents, unreadable: None, gave });
    }

    /// A file is gone.
    pub(super) fn remove(&mut self, path: PathBuf) {
        self.files.remove(&path);
        self.gone.insert(path);
    }

    /// A file cannot be read: what it last held stands.
    pub(super) fn unreadable(&mut self, path: PathBuf, problem: String) {
        let file = self.files.entry(path).or_default();
        file.gave = file.has_given();
        file.unreadable = Some(problem);
    }

    /// Whether all that is there can be used.
    pub(super) fn are_whole(&self) -> bool {
        !self.files.values().any(EntryFile::is_bad)
    }

    /// When the next document has been missing for so long that it is gone.
    pub(super) fn gone_at(&self) -> Option<Instant> {
        self.missing.values().min().map(|since| *since + WatchOptions::default().vanish_grace)
    }

    /// All documents that are to be served, each with its file; the first file by name wins.
    pub(super) fn list(&mut self, backend: &DirectoryBackend) -> Listed {
        let mut listed = Listed::default();
        for (path, file) in &self.files {
            listed.tell(path, file, self.policies);
            for document in &file.contents.entries {
                listed.take(path, document.clone(), &self.namespace);
            }
        }
        self.keep(backend, &mut listed);
        listed
    }

    /// Keeps what is served and missing for now.
    fn keep(&mut self, backend: &DirectoryBackend, listed: &mut Listed) {
        let gone = std::mem::take(&mut self.gone);
        let (now, grace) = (Instant::now(), WatchOptions::default().vanish_grace);
        let mut missing = BTreeMap::new();
        for (key, (origin, document)) in backend.missing_in(&listed.documents) {
            if listed.present.contains(&key) || gone.contains(&origin) && !self.files.contains_key(&origin) {
                continue;
            }
            let bad = self.files.get(&origin).is_some_and(EntryFile::is_bad);
            let since = self.missing.get(&key).copied().unwrap_or(now);
            if bad || now < since + grace {
                listed.documents.insert(key.clone(), (origin, document));
            }
            if !bad && now < since + grace {
                missing.insert(key, since);
            }
        }
        self.missing = missing;
    }
}

impl EntryFile {
    fn is_bad(&self) -> bool {
        self.unreadable.is_some() || !self.contents.errors.is_empty()
    }

    fn has_given(&self) -> bool {
        self.gave || !self.contents.entries.is_empty() || !self.contents.policies.is_empty()
    }
}

impl Listed {
    /// Says what of a file cannot be used, and counts what else it holds.
    fn tell(&mut self, path: &Path, file: &EntryFile, policies: bool) {
        let stays = if file.gave { "; the last good content of this file stays in force" } else { "" };
        let errors = file.contents.errors.iter().map(ToString::to_string);
        for problem in errors.chain(file.unreadable.clone()) {
            self.notes.push(Note::error(format!("{problem}{stays}")));
            self.pass_over("that cannot be used".into());
        }
        for kind in &file.contents.others {
            self.pass_over(format!("of {kind}"));
        }
        if !policies && !file.contents.policies.is_empty() {
            let shown = path.display();
            self.notes
                .push(Note::warning(None, format!("{shown}: a {POLICY_KIND} is carried out only with --policies")));
            file.contents.policies.iter().for_each(|_| self.pass_over(format!("of kind {POLICY_KIND}")));
        }
        if file.contents.is_nothing() && file.unreadable.is_none() {
            self.notes.push(Note::info(None, format!("{}: holds no ServiceEntry", path.display())));
        }
    }

    fn pass_over(&mut self, reason: String) {
        *self.passed_over.entry(reason).or_default() += 1;
    }

    /// Takes a document in, if it is to be served.
    fn take(&mut self, path: &Path, mut document: Document, namespace: &str) {
        if document.value.pointer("/metadata/namespace").is_none() {
            document.entry.metadata.namespace = Some(namespace.to_owned());
        }
        let metadata = &document.entry.metadata;
        let key = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
        let (title, shown) = (document.entry.title(), path.display());
        let new = self.present.insert(key.clone());
        if key.0 != namespace {
            self.pass_over("of other namespaces".into());
            self.notes.push(Note::info(Some(title), format!("{shown}: passed over: not in namespace {namespace}")));
        } else if !selected(&document.entry) {
            let [manager, registry] = LABELS.map(|(key, value)| format!("{key}: {value}"));
            self.pass_over(format!("without the labels `{manager}` and `{registry}`"));
            let reason = format!("passed over: the labels `{manager}` and `{registry}` are not both there");
            self.notes.push(Note::info(Some(title), format!("{shown}: {reason}")));
            self.bystanders.entry(key).or_insert_with(|| (path.to_owned(), document));
        } else if !new && let Some((first, _)) = self.documents.get(&key).filter(|(first, _)| first.exists()) {
            let text = format!("{} and {shown} hold the same entry; the first one counts, remove one", first.display());
            self.pass_over("that another one has".into());
            self.notes.push(Note::warning(Some(title), text));
        } else {
            self.documents.insert(key, (path.to_owned(), document));
        }
    }
}
