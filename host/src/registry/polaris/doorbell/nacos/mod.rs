//! Nacos's push as a doorbell: Polaris imitates a Nacos server, which says by itself that a service has changed. It costs next to
//! nothing, for very many services too, and tells a second later than the console does.
//!
//! Services are subscribed to one by one on one connection. The imitation forgets all of them where one is given up (1.18.1), so
//! nothing is: a push for what nobody follows any more is let pass, and with many of those the connection is made anew.

mod message;
mod name;
mod session;

use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::sync::watch;

use self::session::{Ended, Session};
use super::{DoorbellConfig, Heard, Ring, Wanted};
use crate::registry::RegistryError;
use crate::registry::polaris::token::Headers;
use crate::registry::polaris::{Address, PolarisConfig};

/// The part of a server's own words that is repeated, in characters.
const WORDS: usize = 200;

/// A server's port for Nacos 2.
#[derive(Debug)]
pub(super) struct Nacos {
    address: Address,
    config: Arc<PolarisConfig>,
    headers: Headers,
}

impl Nacos {
    pub(super) fn new(config: &DoorbellConfig, registry: &Arc<PolarisConfig>) -> Result<Self, RegistryError> {
        let headers = Headers::new(&config.token)?;
        Ok(Self { address: config.address.clone(), config: Arc::clone(registry), headers })
    }

    /// Listens until that fails, for the reason returned, or nobody listens any more.
    pub(super) async fn listen(
        &self,
        rings: &Sender<Ring>,
        wanted: &mut watch::Receiver<Wanted>,
        heard: &mut Heard,
    ) -> Result<(), String> {
        loop {
            match Session::open(self).await?.run(rings, wanted, heard).await? {
                Ended::Unheard => return Ok(()),
                Ended::Again => {}
            }
        }
    }
}
