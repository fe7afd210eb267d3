//! Performs the steps of a plan, some at once: each waits for the rate, and is left out if nothing may be written by then.

use futures::StreamExt;
use futures::stream;

use super::WriteRateLimiter;

/// Requests at once.
const WRITERS: usize = 8;

/// Sends each step; of those that were left out there is `None`.
pub async fn perform<'a, S, T, F: Future<Output = (S, T)>>(
    steps: Vec<S>,
    limiter: impl Fn(&S) -> &'a WriteRateLimiter,
    may_write: impl Fn() -> bool,
    send: impl Fn(S) -> F,
) -> Vec<(S, Option<T>)> {
    let (limiter, may_write, send) = (&limiter, &may_write, &send);
    stream::iter(steps)
        .map(|step| async move {
            limiter(&step).take(false).await;
            if !may_write() {
                return (step, None);
            }
            let (step, done) = send(step).await;
            (step, Some(done))
        })
        .buffer_unordered(WRITERS)
        .collect()
        .await
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn nothing_is_sent_once_nothing_may_be_written() {
        let (limiter, sent) = (WriteRateLimiter::new(NonZeroU32::MAX), AtomicUsize::new(0));
        let done = perform(
            (0..20).collect(),
            |_| &limiter,
            || sent.load(Ordering::Relaxed) < 3,
            |step| {
                sent.fetch_add(1, Ordering::Relaxed);
                async move { (step, ()) }
            },
        )
        .await;
        assert_eq!((done.len(), done.iter().filter(|(_, done)| done.is_some()).count()), (20, 3));
    }
}
