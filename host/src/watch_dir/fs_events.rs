//! File system events, reduced to one bit: something may have changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::stamp::Identity;

/// Rings when something happens in a directory, or to it.
pub(super) struct FsEvents {
    path: PathBuf,
    bell: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    /// The directory that is watched now; another one may take its place under the same path.
    watched: Option<Identity>,
}

impl FsEvents {
    /// Prepares for a directory, given by an absolute path. Without events from the system it never rings.
    pub(super) fn new(path: &Path) -> Self {
        let bell = Arc::new(Notify::new());
        let ringer = Arc::clone(&bell);
        let directory = path.to_owned();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error (events were lost, for one) is a reason to look, too.
            if event.as_ref().map_or(true, |event| matters(event, &directory)) {
                ringer.notify_one();
            }
        });
        let mut watcher = match watcher {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                warn!(path = %path.display(), "no file system events: {error}; the directory is looked at several times a second instead");
                None
            }
        };
        // The parent tells when the directory itself is swapped; without it that is noticed a little later.
        if let (Some(watcher), Some(parent)) = (&mut watcher, path.parent())
            && let Err(error) = watcher.watch(parent, RecursiveMode::NonRecursive)
        {
            debug!(path = %parent.display(), "no file system events of the parent: {error}");
        }
        Self { path: path.to_owned(), bell, watcher, watched: None }
    }

    /// Watches what is at the path now; `None` where nothing is.
    pub(super) fn hang(&mut self, identity: Option<Identity>) {
        if identity == self.watched {
            return;
        }
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        if self.watched.take().is_some() {
            // It fails where the directory is gone, which ends the watch as well.
            let _ = watcher.unwatch(&self.path);
        }
        if identity.is_none() {
            return;
        }
        match watcher.watch(&self.path, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched = identity;
                // What happened before the watch was there rang for nobody.
                self.bell.notify_one();
            }
            Err(error) => {
                warn!(path = %self.path.display(), "no file system events: {error}; the directory is looked at several times a second instead");
                self.watcher = None;
            }
        }
    }

    /// Whether events can be had for what is at the path.
    pub(super) fn works(&self) -> bool {
        self.watched.is_some()
    }

    /// Waits for the next event.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}

/// Whether an event can mean a change. Reading is none, and our own looks read.
fn matters(event: &Event, directory: &Path) -> bool {
    let change = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    let ours = |path: &PathBuf| path == directory || path.parent() == Some(directory);
    change && (event.paths.is_empty() || event.paths.iter().any(ours))
}
