//! The operator's documents and the output directory beside them: what stands in for an API server in the directory kind.
//!
//! The operator's files are only ever read. Each entry has one output file, `<namespace>.<name>.yaml`, replaced whole, so
//! that a reader never sees half of one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::document::Document;
use super::merge;
use super::output_error::{OutputError, not_written};
use crate::annotation::{POLICY, REVISION};
use crate::clock;
use crate::hash::hash;
use crate::istio::ServiceEntry;
use crate::plan::{Apply, ApplyError};
use crate::title::title;
use crate::writes::{Gate, Reopened};

/// Namespace and name of an entry.
pub(super) type Key = (String, String);

/// The beginning of each output's first line, and what stands between it and the remark at its end: the operator's file.
const HEADER: (&str, &str) = ("# Written by polaris2istio from ", "; edit that file, changes here are undone.");

/// How often an output that is taken away is put back.
const PUT_BACK_EVERY: Duration = Duration::from_millis(500);

/// Documents by entry, and where their outputs go.
pub struct DirectoryBackend {
    output: PathBuf,
    /// Asked before an output is brought in line or removed; applies have been let through already.
    gate: Arc<Gate>,
    pub(super) state: Mutex<State>,
    /// Outputs that were to be removed while the gate was shut.
    left: Mutex<Vec<Key>>,
    /// Entries whose last apply was about another state than the one that is there.
    doubted: Mutex<Vec<Key>>,
    doubt: Notify,
    /// Wakes policies when entries are other ones.
    pub(super) rewritten: Notify,
    /// Whether something in the entries' files cannot be used.
    unusable: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    /// Those of the operator's files.
    pub(super) documents: Documents,
    /// Those that policies made.
    pub(super) made: Documents,
    /// Those of the operator's files that are not served.
    pub(super) bystanders: Documents,
    pub(super) seen: BTreeMap<Key, Seen>,
    /// Whether the operator's files were read.
    pub(super) loaded: bool,
    /// Entries that policies have not seen as they are now.
    pub(super) changed: BTreeSet<Key>,
}

/// Documents by entry, each with the file that it stands in.
pub(super) type Documents = BTreeMap<Key, (PathBuf, Document)>;

/// The state in which an entry was last seen.
#[derive(Default)]
pub(super) struct Seen {
    hash: u64,
    /// How often it became another one: a state that comes back is a new one, as with an API server.
    number: u64,
    /// The output, if there was one: whoever takes it away does not mean the entry, and it is put back as it was.
    pub(super) output: Option<Value>,
    written: Option<Instant>,
}

/// An output file that an earlier run wrote.
pub(super) struct Output {
    pub(super) path: PathBuf,
    pub(super) key: Key,
    /// The operator's file that it was made from.
    pub(super) origin: PathBuf,
    pub(super) object: Value,
}

/// What became of an output that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    Removed,
    /// There is none, or it is not ours.
    Nothing,
    /// Nothing may be written now.
    Later,
    Failed,
}

impl DirectoryBackend {
    /// An empty backend over an output directory, which is created where it is missing.
    pub fn new(entries: &Path, output: &Path, gate: Arc<Gate>) -> Result<Self, OutputError> {
        if real(output).starts_with(real(entries)) {
            return Err(OutputError::Inside { output: output.into(), entries: entries.into() });
        }
        let unusable = |source| OutputError::Unusable { path: output.to_owned(), source };
        std::fs::create_dir_all(output).map_err(unusable)?;
        // The first write may be minutes away; a directory that cannot be written to is told now.
        tempfile::tempfile_in(output).map_err(unusable)?;
        Ok(Self {
            output: output.to_owned(),
            gate,
            state: Mutex::default(),
            left: Mutex::default(),
            doubted: Mutex::default(),
            doubt: Notify::new(),
            rewritten: Notify::new(),
            unusable: AtomicBool::default(),
        })
    }

    /// Whether something in the entries' files cannot be used, so that not all is served.
    pub fn is_partial(&self) -> bool {
        self.unusable.load(Ordering::Acquire)
    }

    pub(super) fn set_partial(&self, partial: bool) {
        self.unusable.store(partial, Ordering::Release);
    }

    pub fn output(&self) -> &Path {
        &self.output
    }

    /// The entries that have a document.
    pub(super) fn keys(&self) -> Vec<Key> {
        let State { documents, made, .. } = &*self.lock();
        documents.keys().chain(made.keys()).cloned().collect()
    }

    /// Replaces the documents of the operator's files; returns the keys of entries that are gone.
    pub(super) fn replace(&self, documents: Documents, bystanders: Documents) -> Vec<Key> {
        let state = &mut *self.lock();
        let served = |key: &&Key| !documents.contains_key(*key);
        let mut gone: Vec<_> = state.documents.keys().filter(served).cloned().collect();
        gone.extend(state.displace(&documents, &bystanders));
        gone.iter().for_each(|key| drop(state.seen.remove(key)));
        state.note_changes(&documents, &bystanders);
        (state.documents, state.bystanders, state.loaded) = (documents, bystanders, true);
        self.rewritten.notify_one();
        gone
    }

    /// The documents that are gone from `others`.
    pub(super) fn missing_in(&self, others: &Documents) -> Vec<(Key, (PathBuf, Document))> {
        let state = self.lock();
        let missing = state.documents.iter().filter(|(key, _)| !others.contains_key(*key));
        missing.map(|(key, document)| (key.clone(), document.clone())).collect()
    }

    /// The entry as it is now, its output file brought in line with the operator's text where that changed.
    pub(super) fn live(&self, key: &Key) -> Option<ServiceEntry> {
        let State { documents, made, seen, .. } = &mut *self.lock();
        let (origin, document) = documents.get(key).or_else(|| made.get(key))?;
        let seen = seen.entry(key.clone()).or_default();
        let there = self.read(key);
        let taken_away = there.is_none();
        let Some(output) = there.or_else(|| seen.output.clone()) else {
            return Some(seen.version(document.entry.clone(), &document.value, false));
        };
        let ours = merge::ours_of(&output, &document.value);
        let object = merge::merge(&document.value, &ours);
        let now = Instant::now();
        let due = !taken_away || seen.written.is_none_or(|written| now.duration_since(written) >= PUT_BACK_EVERY);
        if (taken_away || object != output) && due && self.may_write() {
            match self.write(key, origin, &object) {
                Ok(()) => seen.written = Some(now),
                Err(error) => warn!(
                    entry = title(&key.0, &key.1),
                    "the output cannot be brought in line with {}: {error}",
                    origin.display()
                ),
            }
        }
        Some(seen.version(merge::live(document, &ours, &object)?, &object, true))
    }

    /// Performs an apply: merges it with the operator's text into the output file.
    pub(crate) fn apply(&self, apply: &Apply) -> Result<ServiceEntry, ApplyError> {
        let key = (apply.namespace.clone(), apply.name.clone());
        let current = self.live(&key).ok_or(ApplyError::Gone)?;
        if apply.resource_version() != current.metadata.resource_version.as_deref() {
            // The output may have been taken away before anyone saw it, so that nothing but this tells of it.
            self.look_again(key);
            return Err(ApplyError::Stale);
        }
        let State { documents, made, seen, changed, .. } = &mut *self.lock();
        let (origin, document) = documents.get(&key).or_else(|| made.get(&key)).ok_or(ApplyError::Gone)?;
        let object = merge::merge(&document.value, &apply.body());
        self.write(&key, origin, &object).map_err(|error| not_written(&self.path(&key), &error))?;
        let ours = merge::ours_of(&object, &document.value);
        let entry = merge::live(document, &ours, &object).ok_or(ApplyError::Gone)?;
        if made.contains_key(&key) {
            changed.insert(key.clone());
            self.rewritten.notify_one();
        }
        let seen = seen.entry(key).or_default();
        seen.written = Some(Instant::now());
        Ok(seen.version(entry, &object, true))
    }

    /// Has whoever serves entries look at one again.
    pub(super) fn look_again(&self, key: Key) {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner).push(key);
        self.doubt.notify_one();
    }

    /// Waits until entries have to be looked at again; tells which.
    pub(super) async fn doubted(&self) -> Vec<Key> {
        self.doubt.notified().await;
        std::mem::take(&mut *self.doubted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The entries whose output was there and is not.
    pub(super) fn taken_away(&self) -> Vec<Key> {
        let with_output = |(key, seen): (&Key, &Seen)| seen.output.is_some().then(|| key.clone());
        let keys: Vec<_> = self.lock().seen.iter().filter_map(with_output).collect();
        keys.into_iter().filter(|key| !self.path(key).exists()).collect()
    }

    /// All outputs that are there and ours: they carry our annotation, and the name of the file that they were made from.
    pub(super) fn outputs(&self) -> Vec<Output> {
        let files = std::fs::read_dir(&self.output).into_iter().flatten().flatten();
        let mut outputs: Vec<_> = files.filter_map(|file| self.output_at(file.path())).collect();
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        outputs
    }

    fn output_at(&self, path: PathBuf) -> Option<Output> {
        let key = self.key_of(&path)?;
        let text = std::fs::read_to_string(&path).ok()?;
        let origin = text.lines().next()?.strip_prefix(HEADER.0)?.strip_suffix(HEADER.1)?.into();
        let object: Value = serde_saphyr::from_str(&text).ok()?;
        is_ours(&object).then_some(Output { path, key, origin, object })
    }

    /// Takes an output away whose entry was deleted, if it is ours.
    pub(super) fn remove(&self, key: &Key) -> Removal {
        let path = self.path(key);
        if !self.read(key).is_some_and(|object| is_ours(&object)) {
            return Removal::Nothing;
        }
        if !self.may_write() {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
            return Removal::Later;
        }
        match std::fs::remove_file(&path) {
            Ok(()) => {
                info!(entry = title(&key.0, &key.1), "{}: removed, as its entry is gone", path.display());
                Removal::Removed
            }
            Err(error) => {
                warn!("{}: cannot be removed after its entry was deleted: {error}", path.display());
                Removal::Failed
            }
        }
    }

    /// Removes what was to be removed while the gate was shut.
    pub(super) fn catch_up(&self) {
        let left = std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        let back: Vec<_> = self.keys();
        for key in left.iter().filter(|key| !back.contains(key)) {
            self.remove(key);
        }
    }

    /// Tells when outputs may be written again.
    pub(super) fn reopened(&self) -> Reopened {
        self.gate.reopened()
    }

    fn may_write(&self) -> bool {
        self.gate.check(clock::now()).is_ok()
    }

    /// The entry whose output has this file name.
    pub(super) fn key_of(&self, path: &Path) -> Option<Key> {
        let (namespace, name) = path.file_name()?.to_str()?.strip_suffix(".yaml")?.split_once('.')?;
        Some((namespace.into(), name.into()))
    }

    pub(super) fn path(&self, (namespace, name): &Key) -> PathBuf {
        self.output.join(format!("{namespace}.{name}.yaml"))
    }

    /// An output that cannot be read or parsed counts as none, and is written anew.
    pub(super) fn read(&self, key: &Key) -> Option<Value> {
        let text = std::fs::read_to_string(self.path(key)).ok()?;
        serde_saphyr::from_str(&text).ok()
    }

    pub(super) fn write(&self, key: &Key, origin: &Path, object: &Value) -> std::io::Result<()> {
        let body = serde_saphyr::to_string(object).map_err(std::io::Error::other)?;
        // Readers run as other users; the umask still has its say.
        let readable = std::fs::Permissions::from_mode(0o644);
        let begin = || {
            let mut builder = tempfile::Builder::new();
            builder.prefix(".writing-").permissions(readable.clone()).tempfile_in(&self.output)
        };
        let mut file = match begin() {
            // Someone took the directory away; what it is for has not changed.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                std::fs::create_dir_all(&self.output)?;
                begin()?
            }
            begun => begun?,
        };
        writeln!(file, "{}{}{}", HEADER.0, origin.display(), HEADER.1)?;
        file.write_all(body.as_bytes())?;
        file.persist(self.path(key))?;
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Gives an entry a resource version, so that a stale view of it is noticed as it is with an API server.
    fn version(&mut self, mut entry: ServiceEntry, object: &Value, output: bool) -> ServiceEntry {
        let hash = hash(object);
        self.output = output.then(|| object.clone());
        if std::mem::replace(&mut self.hash, hash) != hash {
            self.number += 1;
        }
        entry.metadata.resource_version = Some(format!("{hash:016x}-{}", self.number));
        entry
    }
}

/// Whether this program wrote an output: only what it has given endpoints once, or made, carries these.
fn is_ours(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    annotations.is_some_and(|all| all.get(REVISION).is_some() || all.get(POLICY).is_some())
}

/// A path without symlinks, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|above| Some((above.canonicalize().ok()?, path.strip_prefix(above).ok()?)));
    found.map_or_else(
        || path.clone(),
        |(above, below)| if below.as_os_str().is_empty() { above } else { above.join(below) },
    )
}
