//! The controller as an operator installs it: the manifests as shipped applied, and a token of its own ServiceAccount.

use std::path::PathBuf;

use serde_json::Value;

use super::{ApiServer, Binaries, Manifests};

/// An installation for the entries of one namespace.
#[derive(Debug)]
pub struct Release {
    /// The controller's own namespace.
    pub namespace: String,
    /// A kubeconfig with the token of its ServiceAccount, and so with its rights and no others.
    pub kubeconfig: PathBuf,
}

impl Release {
    /// Installs the manifests as shipped, moved to namespaces of a test's own. That of the entries exists.
    pub async fn install(api: &ApiServer, binaries: &Binaries, entries: &str) -> Self {
        Self::install_with(api, binaries, entries, |_| ()).await
    }

    /// Installs them with something changed.
    pub async fn install_with(
        api: &ApiServer,
        binaries: &Binaries,
        entries: &str,
        change: impl FnMut(&mut Value),
    ) -> Self {
        let namespace = format!("{entries}-system");
        let mut manifests = Manifests::kustomize(binaries, "base").moved(&namespace, entries);
        manifests.0.iter_mut().for_each(change);
        api.apply(&manifests.0, false).await;
        let account = manifests.of_kind("ServiceAccount").next().expect("a ServiceAccount is shipped");
        let account = account["metadata"]["name"].as_str().expect("an object has a name");
        Self { kubeconfig: api.account_kubeconfig(&namespace, account).await, namespace }
    }
}
