//! Keeps the shared document: reads it, changes it in the version that was read, and tells when another process changed it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{Mutex, watch};
use tracing::warn;

use super::StateError;
use super::document::{Blobs, Document, Read};
use super::store::Store;
use crate::digest::Digest;
use crate::log_once::LogOnce;

/// The times that a change is repeated on a document that another process wrote meanwhile.
const TRIES: usize = 8;
/// The wait before a store that does not work is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// The document as it was last seen.
pub struct Keeper<D> {
    store: Store,
    /// One change at a time.
    read: Mutex<Read<D>>,
    document: watch::Sender<Arc<D>>,
}

impl<D: Document> Keeper<D> {
    /// Reads the document. It waits for a store that cannot be read, or holds something else: a refused module must not become
    /// active because the refusal could not be read, and a process that ends helps nobody.
    ///
    /// # Errors
    ///
    /// The store cannot be used.
    pub async fn open(store: Store) -> Result<Self, StateError> {
        Self::open_unless(store, |error| !error.is_passing() && !error.is_malformed()).await
    }

    /// The same for a run that ends by itself: it does not wait until someone has mended the document.
    ///
    /// # Errors
    ///
    /// The store cannot be used, or holds something else.
    pub async fn open_once(store: Store) -> Result<Self, StateError> {
        Self::open_unless(store, |error| !error.is_passing()).await
    }

    async fn open_unless(store: Store, is_final: impl Fn(&StateError) -> bool) -> Result<Self, StateError> {
        let mut log = LogOnce::default();
        let read: Read<D> = loop {
            match store.read().await {
                Err(error) if !is_final(&error) => wait(&error, &mut log).await,
                read => break read?,
            }
        };
        let (document, _) = watch::channel(Arc::new(read.document.clone()));
        Ok(Self { store, read: Mutex::new(read), document })
    }

    /// The document, and whenever it changes.
    pub fn document(&self) -> watch::Receiver<Arc<D>> {
        self.document.subscribe()
    }

    /// A content that the document carries along.
    pub async fn blob(&self, digest: Digest) -> Option<bytes::Bytes> {
        self.read.lock().await.blobs.get(&digest).cloned()
    }

    /// Makes a change, and repeats it if another process changed the document meanwhile. Nothing is written if it changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// It cannot be written; the document is as it was.
    pub async fn update<T>(&self, change: impl Fn(&mut D, &mut Blobs) -> T) -> Result<T, StateError> {
        let mut known = self.read.lock().await;
        for _ in 0..TRIES {
            let mut next = known.clone();
            let result = change(&mut next.document, &mut next.blobs);
            if next.document == known.document && next.blobs == known.blobs {
                return Ok(result);
            }
            if let Some(version) = self.store.write(&next).await? {
                *known = Read { version: Some(version), ..next };
                self.publish(&known.document);
                return Ok(result);
            }
            self.read_again(&mut known).await?;
        }
        Err(StateError::Contended)
    }

    /// Reads the document anew, for one who cannot wait until its change is told.
    ///
    /// # Errors
    ///
    /// It cannot be read; what is known stays.
    pub async fn refresh(&self) -> Result<(), StateError> {
        let mut known = self.read.lock().await;
        self.read_again(&mut known).await
    }

    /// A document that is gone is not believed: what is known of it is written again by the next change.
    async fn read_again(&self, known: &mut Read<D>) -> Result<(), StateError> {
        let read = self.store.read().await?;
        match (&read.version, &known.version) {
            (None, Some(_)) => known.version = None,
            (None, None) => {}
            (Some(_), _) => *known = read,
        }
        self.publish(&known.document);
        Ok(())
    }

    /// Writes a document that was deleted again: what it said holds until someone says something else.
    async fn restore(&self) -> Result<(), StateError> {
        let mut known = self.read.lock().await;
        if known.version.is_none() {
            return Ok(());
        }
        warn!(
            "the shared state was deleted; it is written again as it was, scale to no replica before you delete it to begin anew"
        );
        for _ in 0..TRIES {
            let lost = Read { version: None, ..known.clone() };
            match self.store.write(&lost).await? {
                Some(version) => {
                    known.version = Some(version);
                    return Ok(());
                }
                // Another replica was quicker.
                None => self.read_again(&mut known).await?,
            }
            if known.version.is_some() {
                return Ok(());
            }
        }
        Err(StateError::Contended)
    }

    /// Makes a change that must be written before anything else happens: it is tried again for as long as it may work later.
    ///
    /// # Errors
    ///
    /// It will not work by itself.
    pub async fn update_patiently<T>(&self, change: impl Fn(&mut D, &mut Blobs) -> T) -> Result<T, StateError> {
        let mut log = LogOnce::default();
        loop {
            match self.update(&change).await {
                Err(error) if error.is_passing() => wait(&error, &mut log).await,
                result => return result,
            }
        }
    }

    /// Follows the changes of other processes, until the future is dropped.
    pub async fn follow(&self) {
        let Store::ConfigMap(map) = &self.store else { return std::future::pending().await };
        let mut changes = std::pin::pin!(map.changes());
        let mut log = LogOnce::default();
        while let Some(change) = changes.next().await {
            let result = match change {
                Ok(Some(read)) => {
                    let mut known = self.read.lock().await;
                    // Our own write comes back as well, perhaps after a later one.
                    if newer(&read, &known) {
                        *known = read;
                        self.publish(&known.document);
                    }
                    Ok(())
                }
                Ok(None) => self.restore().await,
                Err(error) => Err(error),
            };
            match result {
                Ok(()) => drop(log.clear()),
                Err(error) => {
                    if log.is_news("watch", error.to_string()) {
                        warn!("shared state cannot be followed for now, what is known of it holds: {error}");
                    }
                }
            }
        }
    }

    fn publish(&self, document: &D) {
        self.document.send_if_modified(|known| {
            let changed = **known != *document;
            if changed {
                *known = Arc::new(document.clone());
            }
            changed
        });
    }
}

/// Logs an error once, and waits.
async fn wait(error: &StateError, log: &mut LogOnce) {
    if log.is_news("wait", error.to_string()) {
        warn!("waiting for the shared state: {error}");
    }
    tokio::time::sleep(AGAIN).await;
}

/// Whether a read document is newer than the known one. Versions of one object are ordered numbers since Kubernetes 1.35 by
/// promise, and were so before in fact. If they are no numbers, the watch counts.
fn newer<D>(read: &Read<D>, known: &Read<D>) -> bool {
    let number = |read: &Read<D>| read.version.as_deref()?.parse::<u64>().ok();
    match (number(read), number(known)) {
        (Some(read), Some(known)) => read > known,
        _ => read.version != known.version,
    }
}
