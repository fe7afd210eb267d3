//! Policies among the files of entries, and the entries that they make, which appear in the output.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};

use super::file_policies::FilePolicies;
use super::head::Head;
use super::plan::{Action, Step};
use super::policy::Policy;
use crate::entries::{DirectoryBackend, Written};
use crate::istio::{GROUP, KIND, VERSIONS};
use crate::kube_watch::map_event;
use crate::plan::ApplyError;
use crate::watch_dir::DirError;

/// The file of each policy.
pub(super) type Origins = Arc<Mutex<BTreeMap<String, PathBuf>>>;

/// The policies and entries of a directory.
pub struct Directory {
    backend: Arc<DirectoryBackend>,
    /// Until they are followed.
    policies: Mutex<Option<FilePolicies>>,
    namespace: String,
    origins: Origins,
}

impl Directory {
    /// Reads the policies of a directory, and watches it from then on.
    pub fn new(entries: &Path, backend: Arc<DirectoryBackend>, namespace: String) -> Result<Self, DirError> {
        let origins = Origins::default();
        let policies = FilePolicies::new(entries, namespace.clone(), Arc::clone(&origins))?;
        Ok(Self { backend, policies: Mutex::new(Some(policies)), namespace, origins })
    }

    pub(super) fn policies(&self) -> BoxStream<'static, watcher::Result<Event<Policy>>> {
        let policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner).take();
        match policies {
            Some(policies) => policies.events(),
            None => futures::stream::pending().boxed(),
        }
    }

    pub(super) fn entries(&self) -> BoxStream<'static, watcher::Result<Event<Head>>> {
        self.backend.written().filter_map(|event| async { head_event(event).map(Ok) }).boxed()
    }

    pub(super) fn perform(&self, step: &Step) -> Result<(), ApplyError> {
        let key = (self.namespace.clone(), step.name.clone());
        match &step.action {
            Action::Create(body) | Action::Change(body) | Action::Mark(body) => {
                let origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
                let origin = origins.get(&step.policy).cloned().ok_or(ApplyError::Gone)?;
                drop(origins);
                self.backend.make(&key, &origin, self.object(body))
            }
            Action::Delete { .. } => self.backend.unmake(&key),
        }
    }

    /// The whole entry that the body of an apply makes: nobody else has a say in a made entry here.
    fn object(&self, body: &Value) -> Value {
        let mut object = body.clone();
        object["apiVersion"] = json!(format!("{GROUP}/{}", VERSIONS[0]));
        object["kind"] = json!(KIND);
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|key, _| !["uid", "resourceVersion"].contains(&key.as_str()));
            metadata.insert("namespace".into(), json!(self.namespace));
        }
        object
    }
}

/// The event of an entry as policies see it. One that cannot be read as an entry was refused before it came here.
fn head_event(event: Event<Written>) -> Option<Event<Head>> {
    Some(match event {
        Event::Apply(written) => Event::Apply(head(written)?),
        Event::InitApply(written) => Event::InitApply(head(written)?),
        Event::Delete(written) => Event::Delete(head(written)?),
        other => map_event(other, |_| Head::default()),
    })
}

fn head(written: Written) -> Option<Head> {
    let entry = serde_json::from_value(written.value).ok()?;
    let mut head = Head::new(&entry);
    head.has_endpoints = written.has_endpoints;
    if written.made {
        // All that is in it a policy wrote.
        head.owners.ours = head.fields.keys().cloned().collect();
    } else {
        // A file is its author's, whatever it says.
        head.policy = None;
    }
    Some(head)
}
