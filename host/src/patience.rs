//! How long a watch waits, and how long it may be silent.

use std::time::Duration;

use backon::ExponentialBuilder;
use kube::runtime::utils::ResetTimerBackoff;
use kube::runtime::watcher::{self, ExponentialBackoff};

/// How long one watch lasts, in seconds. The server ends it then, and it is resumed where it was; one that has not
/// ended five seconds later is given up, as its connection is dead. The default notices that after five minutes.
const LASTS: u32 = 60;

/// The shortest and longest wait after a failure; jitter at most doubles it.
const WAITS: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(5));

/// After this long without a failure, waits start small again.
const CALM: Duration = Duration::from_secs(120);

/// A watch that lasts as long as is good.
pub(crate) fn config() -> watcher::Config {
    watcher::Config::default().timeout(LASTS)
}

/// Waits that end within seconds: the default's go to a minute, and who repairs an API server waits for us.
pub(crate) fn backoff() -> ResetTimerBackoff<ExponentialBackoff> {
    let (shortest, longest) = WAITS;
    let waits = ExponentialBuilder::new().with_jitter().with_min_delay(shortest).with_max_delay(longest);
    ResetTimerBackoff::new(waits.without_max_times().into(), CALM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_long_and_none_is_the_last() {
        let waits: Vec<Duration> = backoff().take(200).collect();
        assert_eq!(waits.len(), 200);
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(10)), "{waits:?}");
        assert!(waits[100..].iter().all(|wait| *wait >= Duration::from_secs(5)), "{waits:?}");
    }

    #[test]
    fn a_watch_that_is_silent_is_noticed() {
        assert!(config().timeout.is_some_and(|seconds| (1..=60).contains(&seconds)));
    }
}
