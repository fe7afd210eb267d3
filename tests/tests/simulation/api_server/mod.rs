//! A model of the API server: objects with versions, optimistic concurrency, server-side apply and watches, behind the client's
//! own seam, a service that answers HTTP requests.

mod answer;
mod object;
mod requests;
mod watches;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::chance::Chance;
use crate::faults::{ApiFault, Line, stranger};
use crate::journal::{Journal, Note, Place, Shown, Writer};
use crate::machine;
use object::Object;
pub(crate) use requests::Server;

/// The resource of entries; others are named as in their URLs.
pub(crate) const ENTRIES: &str = "serviceentries";

/// The namespace of all objects.
pub(crate) const NAMESPACE: &str = "polaris";

/// Resource and name.
type Key = (String, String);

/// A change, as watches tell it.
#[derive(Clone)]
struct Change {
    version: u64,
    at: Duration,
    key: Key,
    before: Option<Arc<Value>>,
    after: Option<Arc<Value>>,
}

/// The API server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiServer {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<u64>>,
    pub(crate) journal: Journal,
}

struct State {
    objects: BTreeMap<Key, Object>,
    changes: Vec<Change>,
    version: u64,
    /// Versions before this one are compacted.
    oldest: u64,
    uids: u64,
    faults: Vec<ApiFault>,
    /// Whether it has the CRD of entries.
    crd: bool,
    /// Events by name: what is said once more is a change of the first.
    told: BTreeMap<String, Value>,
    chance: Chance,
}

/// The reason why something was not done: an HTTP status and words.
pub(crate) type Refusal = (u16, String);

impl ApiServer {
    pub(crate) fn new(seed: u64, journal: Journal) -> Self {
        let state = State {
            objects: BTreeMap::new(),
            changes: Vec::new(),
            version: 100,
            oldest: 0,
            uids: 0,
            faults: Vec::new(),
            crd: true,
            told: BTreeMap::new(),
            chance: Chance::new(seed, 2),
        };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::new(watch::Sender::new(0)), journal }
    }

    pub(crate) fn set_faults(&self, faults: Vec<ApiFault>) {
        self.lock().faults = faults;
        self.changed.send_modify(|count| *count += 1);
    }

    /// Deletes the CRD of entries, and these with it; or has it again.
    pub(crate) fn set_crd(&self, there: bool) {
        self.lock().crd = there;
        if !there {
            self.names(ENTRIES).iter().for_each(|entry| self.delete(ENTRIES, entry));
        }
        self.changed.send_modify(|count| *count += 1);
    }

    pub(crate) fn has_crd(&self) -> bool {
        self.lock().crd
    }

    /// Forgets how it came to what there is: a watch from before has to begin anew.
    pub(crate) fn compact(&self) {
        let mut state = self.lock();
        state.version += 1;
        state.oldest = state.version;
        drop(state);
        self.changed.send_modify(|count| *count += 1);
    }

    /// The object as it is shown.
    pub(crate) fn get(&self, resource: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&(resource.into(), name.into())).map(Object::shown)
    }

    pub(crate) fn names(&self, resource: &str) -> Vec<String> {
        let state = self.lock();
        state.objects.keys().filter(|(known, _)| known == resource).map(|(_, name)| name.clone()).collect()
    }

    /// Creates an object, in the name of its owner.
    pub(crate) fn create(&self, resource: &str, name: &str, value: Value) -> Result<Value, Refusal> {
        self.create_by(&Writer::Other, "kubectl", resource, name, value)
    }

    fn create_by(
        &self,
        by: &Writer,
        manager: &str,
        resource: &str,
        name: &str,
        mut value: Value,
    ) -> Result<Value, Refusal> {
        let mut state = self.lock();
        let key = (resource.to_owned(), name.to_owned());
        if resource == ENTRIES && !state.crd {
            return Err((404, "the server could not find the requested resource".into()));
        }
        if state.objects.contains_key(&key) {
            return Err((409, format!("{resource} \"{name}\" already exists")));
        }
        state.uids += 1;
        value["metadata"]["name"] = json!(name);
        value["metadata"]["namespace"] = json!(NAMESPACE);
        value["metadata"]["uid"] = json!(format!("uid-{}", state.uids));
        let mut object = Object::new(value.clone());
        object.managers.clear();
        if resource == ENTRIES {
            object.value["spec"] = json!({});
            for part in ["annotations", "labels"] {
                object.value["metadata"][part] = json!({});
            }
            object.apply(manager, &value);
        }
        let shown = self.put(&mut state, key, Some(object), by);
        drop(state);
        self.changed.send_modify(|count| *count += 1);
        Ok(shown.unwrap_or_default())
    }

    pub(crate) fn delete(&self, resource: &str, name: &str) {
        // It may be gone already.
        let _ = self.delete_by(&Writer::Other, resource, name, &Value::Null);
    }

    /// Deletes an object, if it is as the preconditions say.
    fn delete_by(&self, by: &Writer, resource: &str, name: &str, conditions: &Value) -> Result<Value, Refusal> {
        let mut state = self.lock();
        let key = (resource.to_owned(), name.to_owned());
        let Some(object) = state.objects.get(&key) else {
            return Err((404, format!("{resource} \"{name}\" not found")));
        };
        let shown = object.shown();
        let differs = |(key, value): (&String, &Value)| shown["metadata"][key] != *value;
        if conditions.as_object().is_some_and(|conditions| conditions.iter().any(differs)) {
            return Err((409, "Precondition failed: the object is another one".into()));
        }
        self.put(&mut state, key, None, by);
        drop(state);
        self.changed.send_modify(|count| *count += 1);
        Ok(shown)
    }

    /// Changes an object; nothing is noted if it is the same afterwards. Returns it as it is, and whether it changed.
    fn change(
        &self,
        resource: &str,
        name: &str,
        by: &Writer,
        change: impl FnOnce(&mut Object) -> Result<(), Refusal>,
    ) -> Result<(Value, bool), Refusal> {
        let mut state = self.lock();
        let key = (resource.to_owned(), name.to_owned());
        let Some(known) = state.objects.get(&key) else {
            return Err((404, format!("{resource} \"{name}\" not found")));
        };
        let mut object = known.clone();
        change(&mut object)?;
        if object == *known {
            return Ok((object.shown(), false));
        }
        let shown = self.put(&mut state, key, Some(object), by).unwrap_or_default();
        drop(state);
        self.changed.send_modify(|count| *count += 1);
        Ok((shown, true))
    }

    /// Changes an object in the name of somebody who is none of ours.
    pub(crate) fn edit(&self, resource: &str, name: &str, manager: &str, change: impl FnOnce(&mut Value)) {
        // It may be gone: then there is nothing to edit.
        let _ = self.change(resource, name, &Writer::Other, |object| {
            object.update(manager, change);
            Ok(())
        });
    }

    fn put(&self, state: &mut State, key: Key, object: Option<Object>, by: &Writer) -> Option<Value> {
        state.version += 1;
        let before = state.objects.get(&key).map(|known| Arc::new(known.shown()));
        let after = object.map(|mut object| {
            object.value["metadata"]["resourceVersion"] = json!(state.version.to_string());
            let shown = Arc::new(object.shown());
            state.objects.insert(key.clone(), object);
            shown
        });
        if after.is_none() {
            state.objects.remove(&key);
        }
        let (version, at) = (state.version, machine::elapsed());
        state.changes.push(Change { version, at, key: key.clone(), before, after: after.clone() });
        match key.0.as_str() {
            ENTRIES => {
                let shown = after.as_deref().map(shown);
                self.journal.note(Note::Entry { name: key.1, by: by.clone(), shown });
            }
            "leases" => {
                let holder = after.as_ref().and_then(|lease| lease.pointer("/spec/holderIdentity")?.as_str());
                self.journal.note(Note::Lease { holder: holder.unwrap_or_default().into() });
            }
            _ => {}
        }
        after.map(|after| (*after).clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server for one replica, to make a client of.
    pub(crate) fn server(&self, replica: usize, line: Line) -> Server {
        Server { api: self.clone(), replica, line }
    }
}

/// An entry as the journal has it.
fn shown(entry: &Value) -> Shown {
    let annotations = entry.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default();
    let text = |key: &str| annotations.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let ours = ["aeraki.net/revision", "polaris2istio.aeraki.net/", "aeraki.net/polarisService"];
    let said = annotations.iter().filter(|(key, _)| !ours.iter().any(|own| key.starts_with(own)));
    let endpoints = entry.pointer("/spec/endpoints").and_then(Value::as_array).cloned().unwrap_or_default();
    let labels = &entry["metadata"]["labels"];
    Shown {
        uid: entry["metadata"]["uid"].as_str().unwrap_or_default().into(),
        service: text("aeraki.net/polarisService"),
        source: text("polaris2istio.aeraki.net/source"),
        places: endpoints.iter().flat_map(places).collect(),
        said: said.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect(),
        labelled: labels["manager"] == "aeraki" && labels["registry"] == "polaris",
    }
}

fn places(endpoint: &Value) -> Vec<Place> {
    let address = endpoint["address"].as_str().unwrap_or_default().to_owned();
    if address == stranger().0 {
        return vec![stranger()];
    }
    let ports = endpoint["ports"].as_object().into_iter().flatten();
    ports.map(|(_, port)| (address.clone(), port.as_u64().unwrap_or_default() as u16)).collect()
}
