//! Following a Polaris server over its HTTP client API (port 8090): every service that is subscribed to is asked for, once an interval.
//!
//! One task does it all: a due list with one timer that ticks on a coarse grid, so that polls go out in small batches, and a
//! set of requests under way. At a thousand services this is several hundred requests a second, so nothing is spawned,
//! logged or formatted for an answer that says "unchanged".

mod address;
mod ask;
mod client;
mod config;
mod follower;
mod lanes;
mod large;
mod schedule;
mod servers;
mod tls;
mod token;

use std::sync::Arc;

pub use self::address::{Address, Addresses};
use self::ask::Asker;
pub use self::ask::{Ask, Question};
pub use self::config::HttpConfig;
use self::follower::Follower;
pub use self::tls::TlsFiles;
pub use self::token::TokenSource;
use super::{PollStats, Registry, RegistryError, ReportQueue};

/// A Polaris server (or several that share a store), followed over HTTP.
#[derive(Debug)]
pub struct HttpRegistry<A = Asker> {
    config: HttpConfig,
    asker: A,
    stats: Arc<PollStats>,
}

impl HttpRegistry {
    /// Prepares to follow; no request is made yet.
    ///
    /// # Errors
    ///
    /// The token cannot be read or sent, or the client cannot be made.
    pub fn new(config: HttpConfig) -> Result<Self, RegistryError> {
        let asker = Asker::new(&config)?;
        Ok(Self::with(config, asker))
    }
}

impl<A: Ask> HttpRegistry<A> {
    /// The same where questions go another way.
    pub fn with(config: HttpConfig, asker: A) -> Self {
        Self { config, asker, stats: Arc::default() }
    }
}

impl<A: Ask> Registry for HttpRegistry<A> {
    fn stats(&self) -> Arc<PollStats> {
        Arc::clone(&self.stats)
    }

    async fn follow(self, queue: ReportQueue) {
        Follower::new(&self.config, self.asker, self.stats, queue).run().await;
    }
}
