//! Looks at the entries all the time, by its own way to the API server, and counts what is missing in them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::api::{Api, DynamicObject, ListParams};
use serde_json::Value;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::entry::{addresses, annotation};
use super::known::Known;

/// Between two looks.
const PACE: Duration = Duration::from_millis(100);

/// How long a look may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was seen so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Looks that were answered.
    pub(crate) looks: usize,
    /// Endpoints that were missing, summed over all looks.
    pub(crate) lost: usize,
}

/// The looks. They end when it is dropped.
pub(crate) struct Sampler {
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

impl Sampler {
    /// Starts them. The entries are complete.
    pub(crate) fn start(entries: Api<DynamicObject>, known: Arc<Mutex<Known>>) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let task = tokio::spawn(look(entries, known, Arc::clone(&seen))).abort_handle();
        Self { seen, task }
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Seen {
        *self.seen.lock().unwrap()
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
        // What must be there when the question is sent, not what must be once the answer is here.
        let known = known.lock().unwrap().clone();
        // While the API server is away there is nothing to see, and nothing that could be lost.
        let Ok(Ok(list)) = timeout(PATIENCE, entries.list(&ListParams::default())).await else { continue };
        let lost: usize = list.items.iter().map(|entry| lost(&known, &serde_json::to_value(entry).unwrap())).sum();
        let mut seen = seen.lock().unwrap();
        seen.looks += 1;
        seen.lost += lost;
    }
}

fn lost(known: &Known, entry: &Value) -> usize {
    let endpoints = addresses(entry);
    // One that is new has none yet; whether a write took all of them, the audit log says.
    if endpoints.is_empty() && entry["metadata"]["name"] == super::stage::LATE {
        return 0;
    }
    let service = annotation(entry, "aeraki.net/polarisService").unwrap_or_default();
    known.lost(service, &endpoints)
}
