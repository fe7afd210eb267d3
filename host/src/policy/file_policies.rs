//! The policies in a directory's files, as a watch would show them.
//!
//! A policy that cannot be understood is there nevertheless, with its fault: a slip must not look like a policy that was deleted.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use kube::runtime::watcher::{self, Event};
use serde_json::Value;
use tracing::warn;

use super::check::unknown_fields;
use super::crd::schema;
use super::directory::Origins;
use super::import::{OnDelete, PolarisImport, PolarisImportSpec};
use super::policy::{FINALIZER, Policy};
use crate::clock;
use crate::entries::{Contents, is_entry_file};
use crate::log_once::LogOnce;
use crate::watch_dir::{DirError, DirNews, FileError, FileNews, WatchDir, WatchOptions};

/// The policies of a directory.
pub(super) struct FilePolicies {
    files: WatchDir<Vec<Value>, Unreadable>,
    contents: BTreeMap<PathBuf, Vec<Value>>,
    namespace: String,
    known: BTreeMap<String, Policy>,
    origins: Origins,
    queue: VecDeque<Event<Policy>>,
    started: bool,
    doubles: LogOnce<String>,
}

/// A file that cannot be read as a whole; who serves its entries says why.
struct Unreadable;

impl From<FileError> for Unreadable {
    fn from(_: FileError) -> Self {
        Self
    }
}

impl FilePolicies {
    pub(super) fn new(path: &Path, namespace: String, origins: Origins) -> Result<Self, DirError> {
        let parse = |path: &Path, bytes: &[u8]| {
            let contents = Contents::read(bytes, &path.display().to_string());
            // A policy may be in the part that cannot be read.
            if contents.errors.is_empty() { Ok(contents.policies) } else { Err(Unreadable) }
        };
        Ok(Self {
            files: WatchDir::new(path, WatchOptions::default(), is_entry_file, parse)?,
            contents: BTreeMap::new(),
            namespace,
            known: BTreeMap::new(),
            origins,
            queue: VecDeque::new(),
            started: false,
            doubles: LogOnce::default(),
        })
    }

    pub(super) fn events(self) -> BoxStream<'static, watcher::Result<Event<Policy>>> {
        stream::unfold(self, |mut policies| async move {
            let event = policies.next().await;
            Some((Ok(event), policies))
        })
        .boxed()
    }

    async fn next(&mut self) -> Event<Policy> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return event;
            }
            // A directory that cannot be read has the policies that it had.
            let DirNews::Files(files) = self.files.next().await else { continue };
            for (path, news) in files {
                match news {
                    FileNews::Parsed(policies) => drop(self.contents.insert(path, policies)),
                    FileNews::Gone => drop(self.contents.remove(&path)),
                    FileNews::Failed(Unreadable) => {}
                }
            }
            self.update();
        }
    }

    fn update(&mut self) {
        let mut found: BTreeMap<String, (PathBuf, Policy)> = BTreeMap::new();
        for (path, value) in self.contents.iter().flat_map(|(path, all)| all.iter().map(move |value| (path, value))) {
            let elsewhere = value["metadata"]["namespace"].as_str().is_some_and(|name| name != self.namespace);
            let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if elsewhere || name.is_empty() {
                let text =
                    format!("{}: a policy without a name, or of another namespace, is not carried out", path.display());
                self.doubles.is_news(format!("{}/{name}", path.display()), &text).then(|| warn!("{text}"));
            } else if let Some((first, _)) = found.get(&name) {
                let text = format!(
                    "{} and {} hold the same policy; the first one counts, remove one",
                    first.display(),
                    path.display()
                );
                self.doubles.is_news(name, &text).then(|| warn!("{text}"));
            } else {
                let policy = policy(&name, value, self.known.get(&name));
                found.insert(name, (path.clone(), policy));
            }
        }
        self.tell(found);
    }

    /// Tells what is another policy now. One that is gone stays for as long as its entries, if they go with it.
    fn tell(&mut self, found: BTreeMap<String, (PathBuf, Policy)>) {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.extend(found.iter().map(|(name, (path, _))| (name.clone(), path.clone())));
        drop(origins);
        let now: BTreeMap<_, _> = found.into_iter().map(|(name, (_, policy))| (name, policy)).collect();
        let before = std::mem::replace(&mut self.known, now);
        if !std::mem::replace(&mut self.started, true) {
            let listed = self.known.values().cloned().map(Event::InitApply);
            self.queue = std::iter::once(Event::Init).chain(listed).chain([Event::InitDone]).collect();
            return;
        }
        let changed = self.known.values().filter(|policy| before.get(&policy.name) != Some(policy));
        self.queue.extend(changed.cloned().map(Event::Apply));
        for (_, policy) in before.into_iter().filter(|(name, _)| !self.known.contains_key(name)) {
            let prunes = policy.spec.on_delete == OnDelete::Prune;
            let deleting = Some(clock::wall(clock::now()));
            self.queue.push_back(if prunes {
                Event::Apply(Policy { deleting, ..policy })
            } else {
                Event::Delete(policy)
            });
        }
    }
}

/// A document as a policy. Each change is a generation, as with an API server.
fn policy(name: &str, value: &Value, before: Option<&Policy>) -> Policy {
    let (spec, fault) = match read(value) {
        Ok(spec) => (spec, None),
        // What it last said stands; with its fault, nothing is done for it.
        Err(fault) => (before.map(|before| before.spec.clone()).unwrap_or_default(), Some(fault)),
    };
    let mut policy = Policy {
        name: name.into(),
        uid: String::new(),
        generation: before.map_or(1, |before| before.generation),
        created: None,
        spec,
        status: before.map(|before| before.status.clone()).unwrap_or_default(),
        fault,
        deleting: None,
        finalizers: vec![FINALIZER.into()],
        resource_version: String::new(),
    };
    policy.generation += i64::from(before.is_some_and(|before| *before != policy));
    policy
}

fn read(value: &Value) -> Result<PolarisImportSpec, String> {
    if let Some(field) = unknown_fields(&value["spec"], &schema()["properties"]["spec"]).first() {
        return Err(format!("spec.{field}: there is no such field; correct its name, or leave it out"));
    }
    let policy: Result<PolarisImport, _> = serde_path_to_error::deserialize(value);
    policy.map(|policy| policy.spec).map_err(|error| format!("{}: {}", error.path(), error.inner()))
}
