//! Entries that policies make in the directory kind: they are in no file of the operator's, so their outputs are all there is of
//! them. From there they come back after a restart, whatever the registry and the policies say by then.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use kube::runtime::watcher::Event;
use serde_json::{Map, Value, json};
use tracing::warn;

use super::backend::{DirectoryBackend, Documents, Key, Removal, State};
use super::document::Document;
use super::merge;
use super::output_error::not_written;
use crate::annotation::{DERIVED_PORTS, EXTERNAL, GONE_SINCE, MODULE_PREFIX, POLICY, REVISION};
use crate::plan::ApplyError;

/// An entry as an operator or a policy wrote it, without what the controller adds.
#[derive(Clone, Debug)]
pub struct Written {
    pub value: Value,
    /// Whether a policy made it.
    pub made: bool,
    pub has_endpoints: bool,
}

impl State {
    /// Lets go of made entries that an operator wrote by now; returns those that are served no more.
    pub(super) fn displace(&mut self, documents: &Documents, bystanders: &Documents) -> Vec<Key> {
        let taken = |key: &Key| documents.contains_key(key) || bystanders.contains_key(key);
        let taken: Vec<_> = self.made.keys().filter(|key| taken(key)).cloned().collect();
        taken.iter().for_each(|key| drop(self.made.remove(key)));
        taken.into_iter().filter(|key| !documents.contains_key(key)).collect()
    }

    /// Notes for policies which of the operator's documents are other ones now.
    pub(super) fn note_changes(&mut self, documents: &Documents, bystanders: &Documents) {
        for (old, new) in [(&self.documents, documents), (&self.bystanders, bystanders)] {
            let keys = old.keys().chain(new.keys());
            self.changed.extend(keys.filter(|key| value(old, key) != value(new, key)).cloned());
        }
    }

    fn written(&self, key: &Key) -> Option<Written> {
        let made = self.made.get(key).filter(|_| !self.documents.contains_key(key));
        let (_, document) = made.or_else(|| self.documents.get(key)).or_else(|| self.bystanders.get(key))?;
        let output = self.seen.get(key).and_then(|seen| seen.output.as_ref());
        let endpoints = output.and_then(|output| output.pointer("/spec/endpoints")).and_then(Value::as_array);
        let has_endpoints = endpoints.is_some_and(|all| !all.is_empty());
        Some(Written { value: document.value.clone(), made: made.is_some(), has_endpoints })
    }
}

impl DirectoryBackend {
    /// Takes up the entries that policies made in earlier runs over this directory of entries.
    pub(super) fn recover(&self, entries: &Path, namespace: &str) {
        let outputs = self.outputs().into_iter();
        let made = outputs.filter(|output| output.key.0 == namespace && output.origin.starts_with(entries));
        for output in made.filter(|output| output.object["metadata"]["annotations"].get(POLICY).is_some()) {
            let shown = output.path.display().to_string();
            match Document::read(without_ours(output.object), &shown, "made entry") {
                Ok(document) => drop(self.lock().made.insert(output.key, (output.origin, document))),
                Err(error) => warn!("{error}; it was made by a policy and is not served, remove it"),
            }
        }
    }

    /// Makes an entry, or changes a made one. What the controller wrote into its output stays.
    ///
    /// # Errors
    /// An operator has written one of that name, or the output cannot be written.
    pub(crate) fn make(&self, key: &Key, origin: &Path, value: Value) -> Result<(), ApplyError> {
        let document = Document::read(value, &origin.display().to_string(), "made entry")
            .map_err(|error| ApplyError::Refused { detail: error.to_string() })?;
        let state = &mut *self.lock();
        if state.documents.contains_key(key) || state.bystanders.contains_key(key) {
            return Err(ApplyError::Stale);
        }
        let ours = self.read(key).map(|output| merge::ours_of(&output, &document.value));
        let object = merge::merge(&document.value, &ours.unwrap_or_else(|| json!({})));
        self.write(key, origin, &object).map_err(|error| not_written(&self.path(key), &error))?;
        state.made.insert(key.clone(), (origin.to_owned(), document));
        self.stir(state, key);
        Ok(())
    }

    /// Removes a made entry with its output.
    ///
    /// # Errors
    /// The output cannot be removed, so the entry stays.
    pub(crate) fn unmake(&self, key: &Key) -> Result<(), ApplyError> {
        let state = &mut *self.lock();
        if !state.made.contains_key(key) {
            return Err(ApplyError::Gone);
        }
        match self.remove(key) {
            Removal::Removed | Removal::Nothing => {}
            Removal::Later | Removal::Failed => {
                let detail = format!("{}: cannot be removed now", self.path(key).display());
                return Err(ApplyError::Unavailable { detail });
            }
        }
        state.made.remove(key);
        state.seen.remove(key);
        self.stir(state, key);
        Ok(())
    }

    fn stir(&self, state: &mut State, key: &Key) {
        state.changed.insert(key.clone());
        self.rewritten.notify_one();
        self.look_again(key.clone());
    }

    /// All entries of the directory as they are written: the first time all, as soon as they were read, then those that changed.
    pub(crate) fn written(self: &Arc<Self>) -> BoxStream<'static, Event<Written>> {
        stream::unfold((Arc::clone(self), false), |(backend, listed)| async move {
            let events = backend.news(listed).await;
            Some((stream::iter(events), (backend, true)))
        })
        .flatten()
        .boxed()
    }

    async fn news(&self, listed: bool) -> Vec<Event<Written>> {
        loop {
            {
                let state = &mut *self.lock();
                let changed = std::mem::take(&mut state.changed);
                if state.loaded && !listed {
                    return state.list();
                }
                if listed && !changed.is_empty() {
                    return changed.iter().map(|key| state.event(key)).collect();
                }
            }
            self.rewritten.notified().await;
        }
    }
}

impl State {
    fn list(&self) -> Vec<Event<Written>> {
        let all: BTreeSet<_> = self.documents.keys().chain(self.bystanders.keys()).chain(self.made.keys()).collect();
        let entries = all.into_iter().filter_map(|key| self.written(key)).map(Event::InitApply);
        std::iter::once(Event::Init).chain(entries).chain([Event::InitDone]).collect()
    }

    fn event(&self, key: &Key) -> Event<Written> {
        match self.written(key) {
            Some(written) => Event::Apply(written),
            None => {
                let value = json!({"metadata": {"namespace": key.0, "name": key.1}});
                Event::Delete(Written { value, made: false, has_endpoints: false })
            }
        }
    }
}

fn value<'a>(documents: &'a Documents, key: &Key) -> Option<&'a Value> {
    documents.get(key).map(|(_, document)| &document.value)
}

/// A made entry as its policy wrote it: an output without what the controller put in.
fn without_ours(mut output: Value) -> Value {
    let mut annotations = output["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    let derived = annotations.get(DERIVED_PORTS).and_then(Value::as_str).unwrap_or_default().to_owned();
    let derived: BTreeSet<_> = derived.split(',').collect();
    annotations.retain(|key, _| {
        let written = key == REVISION || key.starts_with(MODULE_PREFIX);
        !written || [POLICY, GONE_SINCE].contains(&key.as_str())
    });
    if let Some(spec) = output["spec"].as_object_mut() {
        spec.remove("endpoints");
        if annotations.contains_key(EXTERNAL) {
            spec.remove("location");
        }
        drop_ports(spec, &derived);
    }
    output["metadata"]["annotations"] = Value::Object(annotations);
    output
}

fn drop_ports(spec: &mut Map<String, Value>, derived: &BTreeSet<&str>) {
    let Some(ports) = spec.get_mut("ports").and_then(Value::as_array_mut) else { return };
    ports.retain(|port| !port["name"].as_str().is_some_and(|name| derived.contains(name)));
    if ports.is_empty() {
        spec.remove("ports");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_gives_back_what_a_policy_wrote() {
        let made = json!({
            "metadata": {"name": "cart", "annotations": {POLICY: "shop", "team": "a"}},
            "spec": {"hosts": ["cart.polaris"], "resolution": "STATIC"},
        });
        let ours = json!({
            "metadata": {"annotations": {REVISION: "r", "polaris2istio.aeraki.net/source": "default/cart"}},
            "spec": {"endpoints": [{"address": "10.0.0.1"}], "ports": [{"name": "http", "number": 80}]},
        });
        let output = merge::merge(&made, &ours);
        assert_eq!(without_ours(output.clone()), made);
        assert_eq!(merge::ours_of(&output, &made), ours, "and what is the controller's is not the policy's");
    }
}
