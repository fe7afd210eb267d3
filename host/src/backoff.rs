//! Waiting longer and longer, with jitter, so that many followers do not come back at once.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// A series of waits without end.
#[derive(Debug)]
pub(crate) struct Backoff {
    delays: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    /// From the shortest to the longest wait, doubling; jitter adds up to as much again, but never beyond the longest.
    pub(crate) fn new((shortest, longest): (Duration, Duration)) -> Self {
        let delays = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(shortest)
            .with_max_delay(shortest.max(longest / 2))
            .without_max_times()
            .build();
        Self { delays, longest }
    }

    pub(crate) fn next(&mut self) -> Duration {
        self.delays.next().unwrap_or(self.longest).min(self.longest)
    }
}
