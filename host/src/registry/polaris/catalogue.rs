//! The catalogue of a Polaris server: one question at a time, to the server that answered last. The instances' follower has its
//! own ways there, so neither holds up the other.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::Mutex;

use super::address::Protocol;
use super::grpc::{Lister, find};
use super::http::Asker;
use super::job::Question;
use super::large::Large;
use super::token::Headers;
use super::{Address, PolarisConfig};
use crate::registry::catalogue::{CatalogueSource, Listing, all_of};
use crate::registry::{RegistryError, catalogue};

/// The services of namespaces, asked of Polaris.
pub struct PolarisCatalogue {
    config: PolarisConfig,
    headers: Arc<Headers>,
    large: Large,
    asker: Asker,
    server: Mutex<Server>,
}

/// The server that is asked.
#[derive(Default)]
struct Server {
    /// Its place among the addresses.
    current: usize,
    /// The protocol that is spoken there; `None` if that is not known yet.
    protocol: Option<Protocol>,
    lister: Lister,
}

impl CatalogueSource for PolarisCatalogue {
    fn list<'a>(&'a self, namespace: &'a str, revision: &'a str) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        Box::pin(self.ask_servers(namespace, revision))
    }
}

impl PolarisCatalogue {
    /// Prepares to ask; no request is made yet.
    ///
    /// # Errors
    /// The token cannot be read or sent, or a file for TLS cannot be used.
    pub fn new(config: PolarisConfig) -> Result<Self, RegistryError> {
        let (headers, large) = (Arc::new(Headers::new(&config.token)?), Large::default());
        let asker = Asker::new(&config, Arc::clone(&headers), large.clone())?;
        Ok(Self { config, headers, large, asker, server: Mutex::default() })
    }

    /// Asks at each server at most once.
    async fn ask_servers(&self, namespace: &str, revision: &str) -> Result<Listing, RegistryError> {
        // A server that is asked for the services of no namespace comes to a standstill.
        if namespace.is_empty() {
            return Err(catalogue::not_services("the registry", "no namespace is named, and none can be asked for"));
        }
        let addresses = self.config.addresses.as_slice();
        let mut server = self.server.lock().await;
        let mut tried = 1;
        loop {
            let place = server.current.checked_rem(addresses.len()).unwrap_or_default();
            let address = addresses.get(place).cloned().map(Arc::new);
            let address =
                address.ok_or_else(|| catalogue::not_services("the registry", "no address of it is given"))?;
            let service = Arc::new(all_of(namespace));
            let question = Question { service, address, revision: revision.into() };
            let result = self.ask(&mut server, &question).await;
            let elsewhere = |error: &RegistryError| {
                error.is_of_server() || matches!(error, RegistryError::TimedOut { .. } | RegistryError::Server { .. })
            };
            match result {
                Err(error) if elsewhere(&error) => {
                    *server = Server { current: server.current + 1, ..Server::default() };
                    if tried == addresses.len() {
                        return Err(error);
                    }
                    tried += 1;
                }
                result => return result,
            }
        }
    }

    async fn ask(&self, server: &mut Server, question: &Question) -> Result<Listing, RegistryError> {
        let protocol = match self.protocol(server, &question.address).await? {
            Some(protocol) => protocol,
            // It says nothing at all. Asked by HTTP it may answer, and if not, that has a name there.
            None => Protocol::Http,
        };
        match protocol {
            Protocol::Http => self.asker.list(question).await,
            Protocol::Grpc => server.lister.list(question, &self.config, (&*self.headers, &self.large)).await,
        }
    }

    async fn protocol(&self, server: &mut Server, address: &Address) -> Result<Option<Protocol>, RegistryError> {
        let known = address.protocol().or(server.protocol);
        if known.is_none() {
            server.protocol = find(address, &self.config).await?;
        }
        Ok(known.or(server.protocol))
    }
}

impl fmt::Debug for PolarisCatalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolarisCatalogue").finish_non_exhaustive()
    }
}
