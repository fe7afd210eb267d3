//! The rate of writes that all entries share. Losses that someone made on purpose go first: an instance that was isolated
//! must not wait behind a thousand fresh entries.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Mutex;

/// A budget of writes a second.
pub struct Budget {
    limiter: DefaultDirectRateLimiter,
    /// One ordinary write at a time stands at the limiter, so that an urgent one has at most that one before it.
    ordinary: Mutex<()>,
}

impl Budget {
    /// So many writes a second; as many may come at once after a pause.
    pub fn new(rate: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::direct(Quota::per_second(rate)), ordinary: Mutex::new(()) }
    }

    /// Waits until a write may go.
    pub async fn take(&self, urgent: bool) {
        let _turn = if urgent { None } else { Some(self.ordinary.lock().await) };
        self.limiter.until_ready().await;
    }
}
