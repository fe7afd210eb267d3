//! Following a Polaris server: every service that is subscribed to is asked for, again and again, by gRPC or by HTTP.
//!
//! One task does it all: a due list with one timer that ticks on a coarse grid, so that polls go out in small batches, and the
//! questions under way. At a thousand services this is two thousand requests a second, so nothing is spawned, logged or
//! formatted for an answer that says "unchanged".

mod address;
mod catalogue;
mod config;
mod doorbell;
mod follower;
mod grpc;
mod http;
mod job;
mod lanes;
mod large;
mod pace;
mod schedule;
mod servers;
mod tls;
mod token;
mod transport;

use std::sync::Arc;

pub use self::address::{Address, Addresses};
pub use self::catalogue::PolarisCatalogue;
pub use self::config::{GRPC_RATE, HTTP_RATE, PolarisConfig};
use self::doorbell::{Bell, Doorbell};
pub use self::doorbell::{DoorbellConfig, DoorbellKind};
use self::follower::Follower;
pub use self::grpc::{decode_message, decode_services_message};
use self::http::Asker;
pub use self::job::{Ask, Question};
pub use self::tls::TlsFiles;
pub use self::token::TokenSource;
use self::transport::{Transport, Ways};
use super::{PollStats, Registry, RegistryError, ReportQueue};

/// A Polaris server, or several that share a store.
#[derive(Debug)]
pub struct PolarisRegistry<A = Asker> {
    config: Arc<PolarisConfig>,
    ways: Ways<A>,
    bell: Option<Box<Bell>>,
    stats: Arc<PollStats>,
}

impl PolarisRegistry {
    /// Prepares to follow; no request is made yet.
    ///
    /// # Errors
    ///
    /// The token cannot be read or sent, or a file for TLS cannot be used.
    pub fn new(config: PolarisConfig) -> Result<Self, RegistryError> {
        let config = Arc::new(config);
        let ways = Ways::new(&config)?;
        let bell = config.doorbell.as_ref().map(|doorbell| Bell::new(doorbell, &config).map(Box::new)).transpose()?;
        Ok(Self { config, ways, bell, stats: Arc::default() })
    }
}

impl<A: Ask> PolarisRegistry<A> {
    /// The same where all questions go another way.
    pub fn with(config: PolarisConfig, asker: A) -> Self {
        Self { config: Arc::new(config), ways: Ways::by(asker), bell: None, stats: Arc::default() }
    }
}

impl<A: Ask> Registry for PolarisRegistry<A> {
    fn stats(&self) -> Arc<PollStats> {
        Arc::clone(&self.stats)
    }

    async fn follow(self, queue: ReportQueue) {
        let doorbell = self.bell.map(|bell| Doorbell::start(*bell));
        let transport = Transport::new(&self.config, self.ways);
        Follower::new(&self.config, (transport, doorbell), self.stats, queue).run().await;
    }
}
