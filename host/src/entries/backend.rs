//! The operator's documents and the output directory beside them: what stands in for an API server in the directory kind.
//!
//! The operator's files are only ever read. Each entry has one output file, `<namespace>.<name>.yaml`, replaced whole, so
//! that a reader never sees half of one.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;
use tracing::warn;

use super::document::Document;
use super::merge;
use crate::annotation::REVISION;
use crate::hash::hash;
use crate::istio::ServiceEntry;
use crate::plan::{Apply, ApplyError};
use crate::title::title;
use crate::writes::{Gate, Reopened};

/// Namespace and name of an entry.
pub(super) type Key = (String, String);

/// Documents by entry, and where their outputs go.
pub struct DirectoryBackend {
    output: PathBuf,
    /// Asked before an output is brought in line or removed; applies have been let through already.
    gate: Arc<Gate>,
    documents: Mutex<BTreeMap<Key, (PathBuf, Document)>>,
    /// Outputs that were to be removed while the gate was shut.
    left: Mutex<Vec<Key>>,
}

/// The output directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("output directory {path}: {source}; create it, or let this process write to it", path = .path.display())]
pub struct OutputError {
    path: PathBuf,
    source: std::io::Error,
}

impl DirectoryBackend {
    /// An empty backend over an output directory, which is created where it is missing.
    pub fn new(output: &Path, gate: Arc<Gate>) -> Result<Self, OutputError> {
        let unusable = |source| OutputError { path: output.to_owned(), source };
        std::fs::create_dir_all(output).map_err(unusable)?;
        // The first write may be minutes away; a directory that cannot be written to is told now.
        tempfile::tempfile_in(output).map_err(unusable)?;
        Ok(Self { output: output.to_owned(), gate, documents: Mutex::default(), left: Mutex::default() })
    }

    /// Where outputs go.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// The entries that have a document.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.lock().keys().cloned().collect()
    }

    /// Replaces all documents; returns the keys of those that are gone.
    pub(super) fn replace(&self, documents: BTreeMap<Key, (PathBuf, Document)>) -> Vec<Key> {
        let mut backend = self.lock();
        let gone = backend.keys().filter(|key| !documents.contains_key(*key)).cloned().collect();
        *backend = documents;
        gone
    }

    /// The entry as it is now, its output file brought in line with the operator's text where that changed.
    pub(super) fn live(&self, key: &Key) -> Option<ServiceEntry> {
        let backend = self.lock();
        let (origin, document) = backend.get(key)?;
        let Some(output) = self.read(key) else { return with_version(document.entry.clone(), &document.value) };
        let ours = merge::ours_of(&output, &document.value);
        let object = merge::merge(&document.value, &ours);
        if object != output
            && self.may_write()
            && let Err(error) = self.write(key, origin, &object)
        {
            warn!(
                entry = title(&key.0, &key.1),
                "the output cannot be brought in line with {}: {error}",
                origin.display()
            );
        }
        with_version(merge::live(document, &ours, &object)?, &object)
    }

    /// Performs an apply: merges it with the operator's text into the output file.
    pub(crate) fn apply(&self, apply: &Apply) -> Result<ServiceEntry, ApplyError> {
        let key = (apply.namespace.clone(), apply.name.clone());
        let current = self.live(&key).ok_or(ApplyError::Gone)?;
        if apply.resource_version() != current.metadata.resource_version.as_deref() {
            return Err(ApplyError::Stale);
        }
        let backend = self.lock();
        let (origin, document) = backend.get(&key).ok_or(ApplyError::Gone)?;
        let object = merge::merge(&document.value, &apply.body());
        self.write(&key, origin, &object).map_err(|error| ApplyError::Forbidden {
            detail: format!("{}: {error}", self.path(&key).display()),
            remedy: "let this process write to the output directory".into(),
        })?;
        let ours = merge::ours_of(&object, &document.value);
        merge::live(document, &ours, &object).and_then(|entry| with_version(entry, &object)).ok_or(ApplyError::Gone)
    }

    /// Takes an output away whose entry was deleted, if it is ours.
    pub(super) fn remove(&self, key: &Key) {
        let path = self.path(key);
        let ours = self.read(key).is_some_and(|object| {
            object.pointer("/metadata/annotations").is_some_and(|all| all.get(REVISION).is_some())
        });
        if ours && !self.may_write() {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
        } else if ours && let Err(error) = std::fs::remove_file(&path) {
            warn!("{}: cannot be removed after its entry was deleted: {error}", path.display());
        }
    }

    /// Removes what was to be removed while the gate was shut.
    pub(super) fn catch_up(&self) {
        let left = std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        let back: Vec<_> = self.keys();
        left.iter().filter(|key| !back.contains(key)).for_each(|key| self.remove(key));
    }

    /// Tells when outputs may be written again.
    pub(super) fn reopened(&self) -> Reopened {
        self.gate.reopened()
    }

    fn may_write(&self) -> bool {
        self.gate.check(Instant::now()).is_ok()
    }

    /// The entry whose output has this file name.
    pub(super) fn key_of(&self, path: &Path) -> Option<Key> {
        let (namespace, name) = path.file_name()?.to_str()?.strip_suffix(".yaml")?.split_once('.')?;
        Some((namespace.into(), name.into()))
    }

    fn path(&self, (namespace, name): &Key) -> PathBuf {
        self.output.join(format!("{namespace}.{name}.yaml"))
    }

    /// An output that cannot be read or parsed counts as none, and is written anew.
    fn read(&self, key: &Key) -> Option<Value> {
        let text = std::fs::read_to_string(self.path(key)).ok()?;
        serde_saphyr::from_str(&text).ok()
    }

    fn write(&self, key: &Key, origin: &Path, object: &Value) -> std::io::Result<()> {
        let body = serde_saphyr::to_string(object).map_err(std::io::Error::other)?;
        // Readers run as other users; the umask still has its say.
        let readable = std::fs::Permissions::from_mode(0o644);
        let mut file = tempfile::Builder::new().prefix(".writing-").permissions(readable).tempfile_in(&self.output)?;
        writeln!(
            file,
            "# Written by polaris2istio from {}; edit that file, changes here are undone.",
            origin.display()
        )?;
        file.write_all(body.as_bytes())?;
        file.persist(self.path(key))?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, (PathBuf, Document)>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives an entry a resource version, so that a stale view of it is noticed as it is with an API server.
fn with_version(mut entry: ServiceEntry, object: &Value) -> Option<ServiceEntry> {
    entry.metadata.resource_version = Some(format!("{:016x}", hash(object)));
    Some(entry)
}
