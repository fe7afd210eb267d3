//! The rate of writes that all entries share. Losses that the operator made on purpose go first: an instance that was
//! isolated must not wait behind a thousand fresh entries.

use std::num::NonZeroU32;

use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Mutex;

/// A limiter of writes a second.
pub struct WriteRateLimiter {
    limiter: DefaultDirectRateLimiter,
    /// One ordinary write at a time waits at the limiter, so that an urgent one has at most that one before it.
    ordinary: Mutex<()>,
}

impl WriteRateLimiter {
    /// A limiter to so many writes a second; as many may come at once after a pause.
    pub fn new(rate: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::direct(Quota::per_second(rate)), ordinary: Mutex::new(()) }
    }

    /// Waits until a write may go.
    pub async fn take(&self, urgent: bool) {
        let _turn = if urgent { None } else { Some(self.ordinary.lock().await) };
        // The library's own wait has a clock and a thread beside those of the runtime.
        while let Err(early) = self.limiter.check() {
            tokio::time::sleep(early.wait_time_from(self.limiter.clock().now())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_is_urgent_has_at_most_one_before_it() {
        let limiter = Arc::new(WriteRateLimiter::new(NonZeroU32::new(20).unwrap()));
        for _ in 0..20 {
            limiter.take(false).await;
        }
        let went = Arc::new(AtomicUsize::new(0));
        let ordinary: Vec<_> = (0..6)
            .map(|_| {
                let (limiter, went) = (Arc::clone(&limiter), Arc::clone(&went));
                tokio::spawn(async move {
                    limiter.take(false).await;
                    went.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        // All of them wait now.
        tokio::task::yield_now().await;
        limiter.take(true).await;
        assert!(went.load(Ordering::SeqCst) <= 1, "{went:?}");
        for task in ordinary {
            task.await.unwrap();
        }
    }
}
