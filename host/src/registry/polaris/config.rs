//! The settings of following a Polaris server, with defaults that suit a production registry.

use std::num::NonZeroU32;
use std::time::Duration;

use super::address::Protocol;
use super::{Addresses, DoorbellConfig, TlsFiles, TokenSource};
use crate::registry::decode::ANSWER_LIMIT;

/// Requests a second that a server gets by gRPC: they cost it some 5 % of a processor.
pub const GRPC_RATE: u32 = 2_000;

/// Requests a second that a server gets by HTTP: they cost it some 10 % of a processor.
pub const HTTP_RATE: u32 = 500;

/// How to follow a Polaris server.
#[derive(Debug, Clone)]
pub struct PolarisConfig {
    /// The servers; one is used as long as it answers.
    pub addresses: Addresses,
    /// The access token, where the server wants one.
    pub token: TokenSource,
    /// Whom to trust and what to show, for addresses with `https://` or `grpcs://`.
    pub tls: TlsFiles,
    /// How often each service is asked for, unless there are too many for the rate. 0.5 s by default.
    pub interval: Duration,
    /// The most requests a second that a server gets; by default as many as cost it little: [`GRPC_RATE`] or [`HTTP_RATE`].
    pub rate: Option<NonZeroU32>,
    /// How often each service is read in full, whatever its revision; jittered by a fifth. 5 min by default.
    pub full_every: Duration,
    /// How long after a change the service is read in full once more, as one change in forty comes under the old revision.
    /// 2 s by default.
    pub recheck_after: Duration,
    /// How many requests may be under way at once by HTTP, and as many again that are slow. 32 by default.
    pub concurrency: usize,
    /// What tells of changes, if anything does.
    pub doorbell: Option<DoorbellConfig>,
    /// How often each service is asked for while a doorbell tells of changes, which may miss some. 30 s by default.
    pub sweep: Duration,
    /// Requests by gRPC go out together, this often. 50 ms by default: to gather longer costs more delay than it spares work.
    pub batch: Duration,
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

impl PolarisConfig {
    /// The most requests a second.
    pub(super) fn rate(&self, protocol: Protocol) -> u32 {
        let usual = match protocol {
            Protocol::Grpc => GRPC_RATE,
            Protocol::Http => HTTP_RATE,
        };
        self.rate.map_or(usual, NonZeroU32::get)
    }

    /// The defaults, for these servers and without a token.
    pub fn new(addresses: Addresses) -> Self {
        Self {
            addresses,
            token: TokenSource::None,
            tls: TlsFiles::default(),
            interval: Duration::from_millis(500),
            rate: None,
            full_every: Duration::from_secs(300),
            recheck_after: Duration::from_secs(2),
            concurrency: 32,
            doorbell: None,
            sweep: Duration::from_secs(30),
            batch: Duration::from_millis(50),
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
        let config = PolarisConfig::new("a:8090".parse().unwrap());
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
