//! The only thing that watches an API server: each watch ends often, so that a dead connection is noticed, and its waits after a
//! failure are short. (The waits were forgotten once, where watches were built in several places.)

use std::time::Duration;

use backon::ExponentialBuilder;
use futures::StreamExt;
use futures::stream::BoxStream;
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::ResetTimerBackoff;
use kube::runtime::watcher::{Config, Event, ExponentialBackoff, Result, watcher};
use serde::de::DeserializeOwned;

/// How long one watch lasts, in seconds. The server ends it then, and it is resumed where it was; one that has not
/// ended five seconds later is given up, as its connection is dead. The default notices that after five minutes.
const LASTS: u32 = 60;

/// The shortest and longest wait after a failure; jitter at most doubles it.
const WAITS: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(5));

/// After this long without a failure, waits start small again.
const CALM: Duration = Duration::from_secs(120);

/// Watches the objects that `select` leaves, until the stream is dropped; a failure is an item, and the watch goes on after it.
pub(crate) fn watch<K>(api: Api<K>, select: impl FnOnce(Config) -> Config) -> BoxStream<'static, Result<Event<K>>>
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    #[allow(clippy::disallowed_methods, reason = "the one place that may")]
    let events = watcher(api, select(config()));
    events.backoff(backoff()).boxed()
}

fn config() -> Config {
    Config::default().timeout(LASTS)
}

/// Waits that end within seconds: the default's go to a minute, and who repairs an API server waits for us.
fn backoff() -> ResetTimerBackoff<ExponentialBackoff> {
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
