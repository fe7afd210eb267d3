//! Connects to the Kubernetes API server.

use reqwest::header::{HeaderValue, USER_AGENT};

use super::{Config, RunError};
use crate::redact;

/// A client, which says which replica it is if there are several.
pub(super) async fn connect<R>(config: &Config<R>, identity: Option<&str>) -> Result<kube::Client, RunError> {
    if let Some(client) = &config.client {
        return Ok(client.clone());
    }
    let mut config =
        kube::Config::infer().await.map_err(|error| RunError::Kubeconfig(redact::addresses(&error.to_string())))?;
    // The library takes a proxy from the environment as well: one is used only where the kubeconfig itself names it, by HTTP.
    let environment = ["HTTPS_PROXY", "https_proxy"].map(std::env::var);
    if config.proxy_url.as_ref().is_some_and(|proxy| environment.iter().flatten().any(|set| *proxy == **set)) {
        config.proxy_url = None;
    }
    // So that an audit log tells us from others.
    const NAME: &str = concat!("polaris2istio/", env!("CARGO_PKG_VERSION"));
    let agent = identity.and_then(|identity| HeaderValue::from_str(&format!("{NAME} ({identity})")).ok());
    let agent = agent.unwrap_or(HeaderValue::from_static(NAME));
    config.headers.push((USER_AGENT, agent));
    kube::Client::try_from(config).map_err(|error| RunError::Client(redact::addresses(&error.to_string())))
}
