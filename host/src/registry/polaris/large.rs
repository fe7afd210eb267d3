//! How many large answers are in memory at once, whatever the number of requests under way.
//!
//! Small ones never wait: a server that trickles a large answer holds up other large ones at most, and these for as long as a
//! request may take.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The length from which on an answer counts as large: some thousand instances.
pub(super) const LARGE: usize = 1 << 20;

/// An answer larger than this is decoded off the async threads: some 200 instances.
pub(super) const DECODE_APART: usize = 128 << 10;

/// Large answers at once.
const AT_ONCE: usize = 2;

/// Answers that are decoded off the async threads at once. Decoded, they may be larger than their text.
const DECODED_AT_ONCE: usize = 2;

/// Leave to have an answer in memory.
#[derive(Debug, Clone)]
pub(super) struct Large {
    bodies: Arc<Semaphore>,
    decoding: Arc<Semaphore>,
}

impl Default for Large {
    fn default() -> Self {
        Self { bodies: Arc::new(Semaphore::new(AT_ONCE)), decoding: Arc::new(Semaphore::new(DECODED_AT_ONCE)) }
    }
}

/// Leave, until it is dropped. `None` if the semaphore is closed, which it never is.
pub(super) type Leave = Option<OwnedSemaphorePermit>;

impl Large {
    /// Waits until another large body may be read.
    pub(super) async fn body(&self) -> Leave {
        Arc::clone(&self.bodies).acquire_owned().await.ok()
    }

    /// Waits until another body may be decoded.
    pub(super) async fn decoding(&self) -> Leave {
        Arc::clone(&self.decoding).acquire_owned().await.ok()
    }
}
