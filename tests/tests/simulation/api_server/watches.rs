//! Watches: the changes of one resource, told in order, late or not at all while the server's faults say so.

use std::collections::VecDeque;
use std::time::Duration;

use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::time::{sleep, sleep_until};

use super::answer::status;
use super::{ApiServer, Change};
use crate::faults::{ApiFault, Line};
use crate::machine;

/// The objects that a watch or a list is about.
#[derive(Clone, Default)]
pub(super) struct Selection {
    pub(super) resource: String,
    /// Labels that objects must have.
    pub(super) labels: Vec<(String, String)>,
    /// The name that objects must have.
    pub(super) name: Option<String>,
}

impl Selection {
    pub(super) fn includes(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        self.name.as_deref().is_none_or(|name| metadata["name"] == name)
            && self.labels.iter().all(|(key, value)| metadata["labels"][key] == **value)
    }

    /// A change as this watch tells it.
    fn event(&self, change: &Change) -> Option<Value> {
        if change.key.0 != self.resource {
            return None;
        }
        let before = change.before.as_deref().filter(|object| self.includes(object));
        let after = change.after.as_deref().filter(|object| self.includes(object));
        let event = |kind: &str, object: &Value| json!({"type": kind, "object": object});
        match (before, after) {
            (None, Some(after)) => Some(event("ADDED", after)),
            (Some(_), Some(after)) => Some(event("MODIFIED", after)),
            (Some(before), None) => {
                let mut last = before.clone();
                last["metadata"]["resourceVersion"] = json!(change.version.to_string());
                Some(event("DELETED", &last))
            }
            (None, None) => None,
        }
    }
}

/// A watch under way.
struct Watch {
    api: ApiServer,
    line: Line,
    selection: Selection,
    /// What was told up to here.
    version: u64,
    /// Told before anything else.
    first: VecDeque<Value>,
    ends: Duration,
    over: bool,
}

impl ApiServer {
    /// The objects of a selection, and the version that they are of.
    pub(super) fn list(&self, selection: &Selection) -> (Vec<Value>, u64) {
        let state = self.lock();
        let all = state.objects.iter().filter(|((resource, _), _)| *resource == selection.resource);
        let shown = all.map(|(_, object)| object.shown()).filter(|object| selection.includes(object)).collect();
        (shown, state.version)
    }

    /// Watches from a version on, or with all objects first.
    pub(super) fn watch(
        &self,
        selection: Selection,
        from: Option<u64>,
        lasts: Duration,
        line: Line,
    ) -> impl Stream<Item = Value> + use<> {
        let (mut first, mut over) = (VecDeque::new(), false);
        let expires = self.lock().faults.contains(&ApiFault::WatchesExpire);
        let version = match from {
            Some(version) if version < self.lock().oldest || expires => {
                let expired = status(410, "Expired", "too old resource version");
                first.push_back(json!({"type": "ERROR", "object": expired}));
                over = true;
                version
            }
            Some(version) => version,
            None => {
                let (objects, version) = self.list(&selection);
                first.extend(objects.into_iter().map(|object| json!({"type": "ADDED", "object": object})));
                first.push_back(json!({"type": "BOOKMARK", "object": {
                    "kind": "ServiceEntry", "apiVersion": "networking.istio.io/v1",
                    "metadata": {"resourceVersion": version.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}},
                }}));
                version
            }
        };
        let ends = machine::elapsed() + lasts;
        let watch = Watch { api: self.clone(), line, selection, version, first, ends, over };
        stream::unfold(watch, |mut watch| async move {
            let event = watch.next().await?;
            Some((event, watch))
        })
    }
}

impl Watch {
    async fn next(&mut self) -> Option<Value> {
        let mut changed = self.api.changed.subscribe();
        loop {
            self.line.whole().await;
            if let Some(first) = self.first.pop_front() {
                return Some(first);
            }
            let now = machine::elapsed();
            let silent = self.api.lock().faults.contains(&ApiFault::WatchesSilent);
            if !silent && (self.over || now >= self.ends) {
                return None;
            }
            let late = match self.due(now) {
                Due::Now(event) if !silent => return Some(event),
                Due::Later(at) if !silent => at.saturating_sub(now),
                Due::Never if !silent && self.is_gone() => return None,
                _ => self.ends.saturating_sub(now),
            };
            // While it is silent it does not end either.
            let wake = tokio::time::Instant::now() + if silent { Duration::from_secs(5) } else { late };
            tokio::select! {
                biased;
                _ = changed.changed() => {}
                () = sleep_until(wake) => {}
                () = self.broken() => return None,
            }
        }
    }

    /// Whether what it is about does not exist any more.
    fn is_gone(&self) -> bool {
        self.selection.resource == super::ENTRIES && !self.api.has_crd()
    }

    /// The next event of this watch, if it is to be told yet.
    fn due(&mut self, now: Duration) -> Due {
        let state = self.api.lock();
        let late = state.faults.iter().find_map(|fault| match fault {
            ApiFault::WatchesLate(milliseconds) => Some(Duration::from_millis(*milliseconds)),
            _ => None,
        });
        let from = state.changes.partition_point(|change| change.version <= self.version);
        for change in &state.changes[from..] {
            let at = change.at + late.unwrap_or(Duration::from_millis(3));
            if at > now {
                return Due::Later(at);
            }
            self.version = change.version;
            if let Some(event) = self.selection.event(change) {
                return Due::Now(event);
            }
        }
        Due::Never
    }

    /// Waits until the line is cut, and then for as long as that goes unnoticed.
    async fn broken(&self) {
        while self.line.is_whole() {
            sleep(Duration::from_secs(5)).await;
        }
        std::future::pending().await
    }
}

enum Due {
    Now(Value),
    Later(Duration),
    Never,
}
