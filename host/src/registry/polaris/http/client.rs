//! The HTTP client, which is made anew when the files that its TLS stands on have changed.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::registry::RegistryError;
use crate::registry::polaris::tls::Material;
use crate::registry::polaris::{Address, PolarisConfig};
use crate::{http, tls};

/// The client of today.
pub(super) struct Client {
    config: PolarisConfig,
    current: RwLock<Current>,
}

struct Current {
    client: reqwest::Client,
    /// The files that it was made of; `None` if no address needs TLS.
    material: Option<Material>,
    /// How often one was made.
    built: u64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(config: &PolarisConfig) -> Result<Self, RegistryError> {
        let needed = config.addresses.as_slice().iter().any(Address::is_tls);
        let material = if needed { Some(config.tls.read()?) } else { None };
        let client = build(config, material.as_ref())?;
        Ok(Self { config: config.clone(), current: RwLock::new(Current { client, material, built: 0 }) })
    }

    /// The client, and which one it is.
    pub(super) fn get(&self) -> (reqwest::Client, u64) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (current.client.clone(), current.built)
    }

    /// TLS failed with the client of that number. Returns whether there is another one by now, or the files make one.
    pub(super) async fn renew(self: &Arc<Self>, used: u64) -> Result<bool, RegistryError> {
        let this = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || this.read_again(used)).await;
        // The task can only be gone when the whole program is going.
        task.unwrap_or(Ok(false))
    }

    fn read_again(&self, used: u64) -> Result<bool, RegistryError> {
        let material = self.config.tls.read()?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.built != used {
            return Ok(true);
        }
        if current.material.as_ref() == Some(&material) {
            return Ok(false);
        }
        let client = build(&self.config, Some(&material))?;
        *current = Current { client, material: Some(material), built: used + 1 };
        Ok(true)
    }
}

fn build(config: &PolarisConfig, material: Option<&Material>) -> Result<reqwest::Client, RegistryError> {
    let tls = match material {
        Some(material) => config.tls.config(material)?,
        // The client wants some even where it is never used; to trust nobody costs nothing.
        None => tls::nobody().map_err(|error| RegistryError::Client { problem: error.to_string() })?,
    };
    let timed = |builder: reqwest::ClientBuilder| {
        builder.timeout(config.total_timeout).pool_max_idle_per_host(config.concurrency)
    };
    http::client(tls, config.connect_timeout, timed).map_err(|problem| RegistryError::Client { problem })
}
