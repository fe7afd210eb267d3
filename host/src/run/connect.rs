//! Connects to the Kubernetes API server.

use kube::config::{KubeConfigOptions, Kubeconfig};
use reqwest::header::{HeaderValue, USER_AGENT};

use super::{Cluster, Config, RunError};
use crate::redact;

/// The client of a run.
pub(super) async fn client<R>(config: &Config<R>, identity: Option<&str>) -> Result<kube::Client, RunError> {
    match &config.client {
        Some(client) => Ok(client.clone()),
        None => connect(&config.cluster, identity).await,
    }
}

/// Makes a client, which says which replica it is if there are several.
pub async fn connect(cluster: &Cluster, identity: Option<&str>) -> Result<kube::Client, RunError> {
    let mut config = read(cluster).await.map_err(|problem| RunError::Kubeconfig(redact::addresses(&problem)))?;
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

/// The configuration of a cluster; the error says why there is none.
async fn read(cluster: &Cluster) -> Result<kube::Config, String> {
    let options = KubeConfigOptions { context: cluster.context.clone(), ..KubeConfigOptions::default() };
    let read = match (&cluster.kubeconfig, &cluster.context) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).map_err(|error| format!("{}: {error}", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &options).await
        }
        (None, Some(_)) => kube::Config::from_kubeconfig(&options).await,
        (None, None) => return kube::Config::infer().await.map_err(|error| error.to_string()),
    };
    read.map_err(|error| error.to_string())
}
