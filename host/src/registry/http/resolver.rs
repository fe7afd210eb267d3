//! Names are resolved by the operating system, as for every other program on the machine; this only keeps the failure apart
//! from other reasons why no connection came about, so that a wrong name is called a wrong name.

use std::fmt;
use std::io;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names through the operating system.
#[derive(Debug)]
pub(super) struct SystemResolver;

/// The name does not resolve.
#[derive(Debug)]
pub(super) struct NameError {
    pub(super) name: String,
    pub(super) cause: io::Error,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` does not resolve: {}", self.name, self.cause)
    }
}

impl std::error::Error for NameError {}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str().to_owned();
            // The port is the client's to set.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map(Vec::from_iter);
            match found {
                Ok(found) => Ok(Box::new(found.into_iter()) as Addrs),
                Err(cause) => Err(NameError { name, cause }.into()),
            }
        })
    }
}
