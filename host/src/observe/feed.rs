//! The stream of changes for those who keep the page open, as server-sent events. One task makes it for all of them, only while
//! there is somebody, and what a slow reader has not taken is replaced by the word to read everything anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::MissedTickBehavior;

use super::status::{EntryStatus, Server};
use super::view::View;

/// Readers at once.
const READERS: usize = 16;
/// Messages that a reader may lag behind.
const LAG: usize = 8;
/// Between two looks at what changed.
const EVERY: Duration = Duration::from_millis(250);
/// Looks between two words on the registry, which also keep the connection alive.
const REGISTRY_EVERY: u32 = 8;
/// Entries that are told one by one; of more, the reader is told to read all.
const ENTRIES: usize = 100;

/// The stream of one process.
pub(super) struct Feed {
    readers: Arc<Semaphore>,
    producer: Arc<Mutex<Producer>>,
}

#[derive(Default)]
struct Producer {
    /// `None` while nobody reads.
    sender: Option<broadcast::Sender<Bytes>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { readers: Arc::new(Semaphore::new(READERS)), producer: Arc::default() }
    }
}

impl Feed {
    /// A body that goes on until its reader leaves; `None` if there are too many.
    pub(super) fn body(&self, view: &View) -> Option<Body> {
        let place = Arc::clone(&self.readers).try_acquire_owned().ok()?;
        let reader = Reader { messages: self.subscribe(view), greeted: false, _place: place };
        Some(Body::from_stream(stream::unfold(reader, Reader::next)))
    }

    fn subscribe(&self, view: &View) -> broadcast::Receiver<Bytes> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &producer.sender {
            return sender.subscribe();
        }
        let (sender, receiver) = broadcast::channel(LAG);
        producer.sender = Some(sender.clone());
        tokio::spawn(produce(view.clone(), sender, Arc::clone(&self.producer)));
        receiver
    }
}

struct Reader {
    messages: broadcast::Receiver<Bytes>,
    greeted: bool,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some((Ok(Bytes::from_static(b"retry: 2000\nevent: hello\ndata: {}\n\n")), self));
        }
        let message = match self.messages.recv().await {
            Ok(message) => message,
            Err(RecvError::Lagged(_)) => Bytes::from_static(b"event: reload\ndata: {}\n\n"),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(message), self))
    }
}

/// Tells of changes until nobody reads.
async fn produce(view: View, sender: broadcast::Sender<Bytes>, producer: Arc<Mutex<Producer>>) {
    let mut seen = Seen { changes: *view.history.newest().borrow(), reports: view.controller.reports_version() };
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0u32.. {
        ticks.tick().await;
        {
            let mut producer = producer.lock().unwrap_or_else(PoisonError::into_inner);
            if sender.receiver_count() == 0 {
                producer.sender = None;
                return;
            }
        }
        let mut message = seen.news(&view);
        if tick.is_multiple_of(REGISTRY_EVERY) {
            event(&mut message, "registry", &Server::all(&view));
        }
        if !message.is_empty() {
            // It fails where the last reader left just now.
            let _ = sender.send(message.into());
        }
    }
}

/// All that was told.
struct Seen {
    changes: u64,
    reports: u64,
}

impl Seen {
    fn news(&mut self, view: &View) -> String {
        let mut message = String::new();
        let reports = view.controller.reports_version();
        if reports != self.reports {
            let changed = view.controller.reports_since(self.reports).filter(|changed| changed.len() <= ENTRIES);
            self.reports = reports;
            match changed {
                Some(changed) => tell_entries(&mut message, view, &changed),
                None => event(&mut message, "reload", &()),
            }
        }
        let newest = *view.history.newest().borrow();
        if newest != self.changes {
            self.changes = newest;
            event(&mut message, "changes", &newest);
        }
        message
    }
}

/// Tells of entries as they are now, and of those that are gone.
fn tell_entries(message: &mut String, view: &View, changed: &[String]) {
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for name in changed {
        match view.entry(name) {
            Some(reported) => there.push(EntryStatus::of(view, &reported)),
            None => gone.push(name),
        }
    }
    told(message, "entries", &there);
    told(message, "gone", &gone);
}

fn told<T: Serialize>(message: &mut String, name: &str, list: &[T]) {
    if !list.is_empty() {
        event(message, name, list);
    }
}

/// Adds an event. JSON as it is written here has no line breaks.
fn event(message: &mut String, name: &str, data: &(impl Serialize + ?Sized)) {
    if let Ok(data) = serde_json::to_string(data) {
        message.push_str(&format!("event: {name}\ndata: {data}\n\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_told() {
        let mut message = String::new();
        event(&mut message, "entries", &["a\nevent: x\n\ndata: y"]);
        assert_eq!(message, "event: entries\ndata: [\"a\\nevent: x\\n\\ndata: y\"]\n\n");
    }
}
