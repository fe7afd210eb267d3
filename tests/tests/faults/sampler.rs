//! Looks at the entries all the time, by its own way to the API server, and counts what is missing in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::Value;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::entry::addresses;
use super::known::Known;
use super::truth::{self, service_of};

/// Between two looks.
const PACE: Duration = Duration::from_millis(100);

/// How long a look may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(2);

/// The observations so far.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// Looks that were answered.
    pub(crate) looks: usize,
    /// Endpoints that were missing, summed over all looks.
    pub(crate) lost: usize,
    /// The faults of entries.
    pub(crate) wrong: BTreeSet<String>,
    /// The endpoints that each entry has had, and should have still.
    had: BTreeMap<String, BTreeSet<String>>,
}

/// The looks. They end when it is dropped.
pub(crate) struct Sampler {
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

impl Sampler {
    /// Starts them. The entries are complete, and the first look shows that before this returns.
    pub(crate) async fn start(entries: Api<DynamicObject>, known: Arc<Mutex<Known>>) -> Self {
        let mut first = Seen::default();
        first.look(&list(&entries).await.expect("the API server answers"), &known.lock().unwrap());
        let seen = Arc::new(Mutex::new(first));
        let task = tokio::spawn(look(entries, known, Arc::clone(&seen))).abort_handle();
        Self { seen, task }
    }

    /// The observations so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(entries: Api<DynamicObject>, known: Arc<Mutex<Known>>, seen: Arc<Mutex<Seen>>) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        // While the API server is away there is nothing to see, and nothing that could be lost.
        let Some(list) = list(&entries).await else { continue };
        seen.lock().unwrap().look(&list, &known.lock().unwrap());
    }
}

/// The entries by their names.
async fn list(entries: &Api<DynamicObject>) -> Option<BTreeMap<String, Value>> {
    let list = timeout(PATIENCE, entries.list(&ListParams::default())).await.ok()?.ok()?;
    let named = |entry: DynamicObject| (entry.metadata.name.clone().unwrap(), serde_json::to_value(entry).unwrap());
    Some(list.items.into_iter().map(named).collect())
}

impl Seen {
    fn look(&mut self, list: &BTreeMap<String, Value>, known: &Known) {
        self.looks += 1;
        // One that has vanished has lost all.
        let names: BTreeSet<_> = self.had.keys().cloned().chain(list.keys().cloned()).collect();
        for name in names {
            let entry = list.get(&name).unwrap_or(&Value::Null);
            let has = addresses(entry);
            let had = self.had.entry(name.clone()).or_default();
            // One that is new has none yet, and no ports.
            if had.is_empty() && has.is_empty() {
                continue;
            }
            self.lost += known.lost(service_of(&name), had, &has, Timestamp::now());
            had.extend(has.into_iter().map(str::to_owned));
            let wrong = known.wrong(service_of(&name), entry).map(|what| format!("{name} had {what}"));
            self.wrong.extend(wrong);
            let (rest, right) = (truth::rest(entry), truth::spec(&name));
            if rest != right {
                self.wrong.insert(format!("{name} was {rest} in place of {right}"));
            }
        }
    }
}
