//! Istio's own agent beside a sidecar: gets a certificate for the workload from
//! istiod, by the token of its service account, and hands it to Envoy.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::apiserver::ApiServer;
use super::binaries::MeshBinaries;
use super::directory::Directory;
use super::istiod::Istiod;
use super::ports::free_port;
use super::process::{Process, Program};
use super::ready;
use crate::poll::wait_for;

/// Where Envoy asks for certificates, in the agent's directory: Istio's own paths.
const SOCKET: &str = "var/run/secrets/workload-spiffe-uds/socket";

/// The agent starts Envoy itself; here a program in its place that ends with the agent, since the tests start
/// Envoy.
const NO_ENVOY: &str = "#!/bin/sh\nexec tail --pid=$PPID -f /dev/null\n";

/// A running agent.
pub struct PilotAgent {
    // Dropped in this order: the process before its files.
    process: Process,
    directory: Directory,
}

impl PilotAgent {
    /// Starts one for a workload that runs as a service account, which comes into being, and returns when it serves.
    pub async fn start(
        binaries: &'static MeshBinaries,
        istiod: &Istiod,
        api: &ApiServer,
        (namespace, account): (&str, &str),
    ) -> Self {
        let metadata = json!({"name": account, "namespace": namespace});
        let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
        api.kubectl(&["apply", "--filename=-"], &object.to_string()).await;
        let token = api.account_token(namespace, account, &["istio-ca"]).await;
        let root = root(api, namespace).await;
        ready::start("pilot-agent", || async {
            let directory = Directory::new("agent");
            for path in ["var/run/secrets/tokens", "var/run/secrets/istio"] {
                fs::create_dir_all(directory.path().join(path)).expect("the directory is new");
            }
            directory.write("var/run/secrets/tokens/istio-token", &token);
            let root = directory.write("var/run/secrets/istio/root-cert.pem", &root);
            let envoy = directory.write("no-envoy", NO_ENVOY);
            fs::set_permissions(&envoy, fs::Permissions::from_mode(0o755)).expect("the file is ours");
            let istiod = format!("localhost:{}", istiod.secure_port());
            let config = json!({
                "discoveryAddress": istiod, "binaryPath": envoy, "customConfigFile": envoy,
                "configPath": directory.path(), "statusPort": free_port(), "proxyAdminPort": free_port(),
                "concurrency": 1, "terminationDrainDuration": "0s",
            });
            let mut process = Program::new(&binaries.pilot_agent, directory.path())
                .args(["proxy", "sidecar"])
                .env("PROXY_CONFIG", config.to_string())
                .env("CA_ADDR", &istiod)
                .env("CA_ROOT_CA", root.as_os_str())
                .env("POD_NAME", account)
                .env("POD_NAMESPACE", namespace)
                .env("SERVICE_ACCOUNT", account)
                .env("INSTANCE_IP", "127.0.0.1")
                .env("ISTIO_META_CLUSTER_ID", "Kubernetes")
                .env("GRPC_XDS_BOOTSTRAP", "")
                .start();
            let socket = directory.path().join(SOCKET);
            let there = || async { socket.exists().then_some(()).ok_or("no socket") };
            ready::ready(&mut process, there).await?;
            Ok(Self { process, directory })
        })
        .await
    }

    /// Where it hands out certificates.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join(SOCKET)
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// The certificate of istiod's authority, which it writes into every namespace.
async fn root(api: &ApiServer, namespace: &str) -> String {
    let get = ["get", "configmaps", "--namespace", namespace, "--output=jsonpath={.items[*].data.root-cert\\.pem}"];
    wait_for("istiod tells of its authority", Duration::from_secs(60), || async {
        let text = api.kubectl(&get, "").await;
        if text.contains("BEGIN CERTIFICATE") { Ok(text) } else { Err(text) }
    })
    .await
}
