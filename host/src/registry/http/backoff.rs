//! Waiting longer and longer, with jitter, so that many followers do not come back at once.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// A series of waits without end.
#[derive(Debug)]
pub(super) struct Backoff {
    delays: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    /// From the shortest to the longest wait, doubling; jitter adds up to as much again, but never beyond the longest.
    pub(super) fn new((shortest, longest): (Duration, Duration)) -> Self {
        let delays = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(shortest)
            .with_max_delay(shortest.max(longest / 2))
            .without_max_times()
            .build();
        Self { delays, longest }
    }

    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        self.delays.next().unwrap_or(self.longest).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::HttpConfig;

    #[test]
    fn no_wait_is_as_long_as_half_a_minute() {
        let config = HttpConfig::new("a:8090".parse().unwrap());
        for (shortest, longest) in [config.backoff, config.limited_backoff] {
            assert!(longest < Duration::from_secs(30), "{longest:?}");
            let waits: Vec<Duration> = std::iter::repeat_n((shortest, longest), 50)
                .map(Backoff::new)
                .flat_map(|mut backoff| std::iter::repeat_with(move || backoff.next()).take(20))
                .collect();
            assert!(waits.iter().all(|wait| (shortest..=longest).contains(wait)), "{waits:?}");
            // It grows, and no two followers keep in step for long.
            let late: std::collections::BTreeSet<_> = waits.iter().filter(|wait| **wait >= longest / 2).collect();
            assert!(late.len() > 100, "{late:?}");
        }
    }
}
