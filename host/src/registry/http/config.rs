//! The settings of following over HTTP, with defaults that suit a production registry.

use std::time::Duration;

use super::{Addresses, TlsFiles, TokenSource};
use crate::registry::decode::ANSWER_LIMIT;

/// How to follow a Polaris server over HTTP.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The servers; one is used as long as it answers.
    pub addresses: Addresses,
    /// The access token, where the server wants one.
    pub token: TokenSource,
    /// Whom to trust and what to show, for addresses with `https://`.
    pub tls: TlsFiles,
    /// How often each service is asked for. 2 s by default.
    pub interval: Duration,
    /// How often each service is read in full, whatever its revision; jittered by a fifth. 5 min by default.
    pub full_every: Duration,
    /// How long after a change the service is read in full once more, as one change in forty comes under the old revision.
    /// 2 s by default.
    pub recheck_after: Duration,
    /// How many requests may be under way at once, and as many again that are slow. 32 by default.
    pub concurrency: usize,
    /// How long a connection may take. 3 s by default.
    pub connect_timeout: Duration,
    /// How long a request may take as a whole. 10 s by default: an answer of 5,000 instances is some 4 MB.
    pub total_timeout: Duration,
    /// The largest answer that is read, in bytes. 16 MiB by default.
    pub body_limit: usize,
    /// The shortest and longest wait after a failure, jitter included. 0.5 s and 10 s by default.
    pub backoff: (Duration, Duration),
    /// The same after the server said that it limits requests. 5 s and 20 s by default; longer where it asks for more itself.
    pub limited_backoff: (Duration, Duration),
}

impl HttpConfig {
    /// The defaults, for these servers and without a token.
    pub fn new(addresses: Addresses) -> Self {
        Self {
            addresses,
            token: TokenSource::None,
            tls: TlsFiles::default(),
            interval: Duration::from_secs(2),
            full_every: Duration::from_secs(300),
            recheck_after: Duration::from_secs(2),
            concurrency: 32,
            connect_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(10),
            body_limit: ANSWER_LIMIT,
            backoff: (Duration::from_millis(500), Duration::from_secs(10)),
            limited_backoff: (Duration::from_secs(5), Duration::from_secs(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::Backoff;

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
