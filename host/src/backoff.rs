//! Waiting longer and longer, with jitter, so that many followers do not come back at once.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// More failures than this are as good as this many: the shortest wait has been doubled a thousand times by then.
const MANY: u32 = 11;

/// A series of waits without end.
#[derive(Debug)]
pub(crate) struct Backoff {
    range: (Duration, Duration),
    delays: ExponentialBackoff,
}

impl Backoff {
    /// From the shortest to the longest wait, doubling; jitter adds up to as much again, but never beyond the longest.
    pub(crate) fn new(range: (Duration, Duration)) -> Self {
        let (shortest, longest) = range;
        let delays = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(shortest)
            .with_max_delay(shortest.max(longest / 2))
            .without_max_times()
            .build();
        Self { range, delays }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let (_, longest) = self.range;
        self.delays.next().unwrap_or(longest).min(longest)
    }
}

/// The wait after so many failures in a row, for those that keep nothing but their number.
pub(crate) fn after(failures: u32, range: (Duration, Duration)) -> Duration {
    let before = failures.min(MANY).saturating_sub(1);
    Backoff::new(range).nth(before as usize).unwrap_or(range.1)
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Self::next(self))
    }
}

impl kube::runtime::utils::Backoff for Backoff {
    fn reset(&mut self) {
        *self = Self::new(self.range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_failures_and_have_an_end() {
        let range = (Duration::from_millis(500), Duration::from_secs(30));
        for (failures, shortest, longest) in
            [(0, 500, 1_000), (1, 500, 1_000), (3, 2_000, 4_000), (u32::MAX, 15_000, 30_000)]
        {
            let wait = after(failures, range).as_millis();
            assert!((shortest..=longest).contains(&wait), "{failures}: {wait} ms");
        }
    }
}
