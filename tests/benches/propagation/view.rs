//! The entries as a watch shows them: the moment at which a mesh could know of a change.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject, WatchEvent, WatchParams};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::endpoints;

/// Addresses of each entry. It ends with the value.
pub(crate) struct View {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    entries: Mutex<HashMap<String, BTreeSet<String>>>,
    /// How often an entry was changed.
    changes: Mutex<usize>,
    changed: Notify,
}

impl Drop for View {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl View {
    pub(crate) async fn of(entries: Api<DynamicObject>) -> Self {
        let shared = Arc::<Shared>::default();
        let list = entries.list(&Default::default()).await.unwrap();
        let version = list.metadata.resource_version.clone().unwrap();
        list.items.iter().for_each(|entry| shared.note(entry));
        let noted = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let parameters = WatchParams::default().timeout(290);
            let mut version = version;
            loop {
                let mut events = entries.watch(&parameters, &version).await.unwrap().boxed();
                while let Some(event) = events.next().await {
                    if let WatchEvent::Added(entry) | WatchEvent::Modified(entry) = event.unwrap() {
                        noted.note(&entry);
                        version = entry.metadata.resource_version.unwrap();
                    }
                }
            }
        });
        Self { shared, task: task.abort_handle() }
    }

    /// Waits until an entry's addresses are as they should be, and returns when that was seen.
    pub(crate) async fn until(&self, name: &str, fits: impl Fn(&BTreeSet<String>) -> bool) -> Instant {
        self.until_all(|entries| entries.get(name).is_some_and(&fits)).await
    }

    /// Waits until all entries are as they should be.
    pub(crate) async fn until_all(&self, fits: impl Fn(&HashMap<String, BTreeSet<String>>) -> bool) -> Instant {
        let begun = Instant::now();
        loop {
            let changed = self.shared.changed.notified();
            if fits(&self.shared.entries.lock().unwrap()) {
                return Instant::now();
            }
            assert!(begun.elapsed() < Duration::from_secs(600), "not within ten minutes");
            let _ = tokio::time::timeout(Duration::from_secs(5), changed).await;
        }
    }

    /// How many changes of entries were seen so far.
    pub(crate) fn changes(&self) -> usize {
        *self.shared.changes.lock().unwrap()
    }
}

impl Shared {
    fn note(&self, entry: &DynamicObject) {
        let name = entry.metadata.name.clone().unwrap();
        self.entries.lock().unwrap().insert(name, endpoints(entry).into_iter().collect());
        *self.changes.lock().unwrap() += 1;
        self.changed.notify_waiters();
    }
}
