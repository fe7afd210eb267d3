//! istiod: turns ServiceEntries into what proxies are told, allocates their
//! virtual IPs, and validates what is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::apiserver::{ApiServer, User};
use super::binaries::MeshBinaries;
use super::directory::Directory;
use super::ports::free_port;
use super::process::{Process, Program};
use super::ready;
use crate::poll::wait_for;

/// More than it needs to give up its leases.
const STOP: Duration = Duration::from_secs(30);

/// The name that istiod looks for to fill in its certificate.
const WEBHOOK: &str = "istio-validator-istio-system";

/// The settings that can differ from test to test.
#[derive(Clone, Debug, Default)]
pub struct IstiodOptions {
    /// Read Istio's configuration from the files of this directory rather than from the API server.
    pub config_directory: Option<PathBuf>,
    /// Have proxies speak mutual TLS to the endpoints that can, as Istio does by default. Their Envoys need a [`PilotAgent`](super::PilotAgent).
    pub auto_mtls: bool,
}

/// A running istiod.
pub struct Istiod {
    // Dropped in this order: the process before its files.
    process: Option<Process>,
    _directory: Directory,
    program: Program,
    http_port: u16,
    https_port: u16,
    grpc_port: u16,
    secure_port: u16,
    monitoring_port: u16,
}

impl Istiod {
    /// Starts one for an API server, which must know all kinds of Istio's ([`ApiServer::install_all_crds`]).
    pub async fn start(binaries: &'static MeshBinaries, api: &ApiServer, options: &IstiodOptions) -> Self {
        let system = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}});
        api.kubectl(&["apply", "--filename=-"], &system.to_string()).await;
        let kubeconfig = api.kubeconfig(User::Admin);
        ready::start("istiod", || Self::try_start(binaries, &kubeconfig, options)).await
    }

    async fn try_start(binaries: &MeshBinaries, kubeconfig: &Path, options: &IstiodOptions) -> Result<Self, String> {
        let directory = Directory::new("istiod");
        let (http_port, https_port, monitoring_port) = (free_port(), free_port(), free_port());
        let (grpc_port, secure_port) = (free_port(), free_port());
        let mesh = json!({
            "trustDomain": "cluster.local",
            "rootNamespace": "istio-system",
            "enableAutoMtls": options.auto_mtls,
            "defaultConfig": {"discoveryAddress": format!("127.0.0.1:{grpc_port}")},
        });
        let mesh = directory.write("mesh.yaml", mesh.to_string());
        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut program = Program::new(&binaries.istiod, directory.path())
            .arg("discovery")
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--meshConfig={}", mesh.display()))
            .arg(format!("--httpAddr={}", local(http_port)))
            .arg(format!("--httpsAddr={}", local(https_port)))
            .arg(format!("--grpcAddr={}", local(grpc_port)))
            .arg(format!("--secureGRPCAddr={}", local(secure_port)))
            .arg(format!("--monitoringAddr={}", local(monitoring_port)))
            .args(["--ctrlz_port=0", "--domain=cluster.local", "--namespace=istio-system"]);
        if let Some(files) = &options.config_directory {
            program = program.arg(format!("--configDir={}", files.display())).arg("--registries=Kubernetes");
        }
        for (name, value) in ENVIRONMENT {
            program = program.env(name, value);
        }
        let (process, _directory) = (None, directory);
        let mut server =
            Self { process, _directory, program, http_port, https_port, grpc_port, secure_port, monitoring_port };
        server.try_start_again().await?;
        Ok(server)
    }

    async fn try_start_again(&mut self) -> Result<(), String> {
        let url = format!("http://127.0.0.1:{}/ready", self.http_port);
        let process = self.process.insert(self.program.start());
        ready::ready(process, || async {
            let answer = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            answer.error_for_status().map(drop).map_err(|error| error.to_string())
        })
        .await
    }

    /// Puts its validating webhook in force: from here on nothing of Istio's is written that it refuses.
    pub async fn enforce(&self, api: &ApiServer) {
        let webhook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": WEBHOOK, "labels": {"app": "istiod", "istio": "istiod", "istio.io/rev": "default"}},
            "webhooks": [{
                "name": "rev.validation.istio.io",
                "clientConfig": {"url": format!("https://127.0.0.1:{}/validate", self.https_port)},
                "rules": [{
                    "operations": ["CREATE", "UPDATE"],
                    "apiGroups": ["security.istio.io", "networking.istio.io", "telemetry.istio.io", "extensions.istio.io"],
                    "apiVersions": ["*"],
                    "resources": ["*"],
                }],
                // istiod makes it Fail once it has filled in its certificate.
                "failurePolicy": "Ignore",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        });
        api.kubectl(&["apply", "--filename=-"], &webhook.to_string()).await;
        let path = "jsonpath={.webhooks[0].failurePolicy}";
        let resource = format!("validatingwebhookconfiguration/{WEBHOOK}");
        wait_for("istiod makes its webhook binding", Duration::from_secs(60), || async {
            match api.kubectl(&["get", &resource, "--output", path], "").await {
                policy if policy == "Fail" => Ok(()),
                policy => Err(policy),
            }
        })
        .await;
        self.refuses_nonsense(api).await;
    }

    /// The API server learns of the change by a watch of its own, so only a refusal proves that it asks.
    async fn refuses_nonsense(&self, api: &ApiServer) {
        let entries = api.service_entries("default").await;
        let nonsense = serde_json::from_value(json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "nonsense"},
            "spec": {"hosts": ["under_score.example"], "resolution": "STATIC",
                     "ports": [{"name": "p", "number": 80, "protocol": "HTTP"}]},
        }))
        .expect("an object");
        let parameters = kube::api::PostParams { dry_run: true, ..Default::default() };
        wait_for("the API server asks istiod", Duration::from_secs(60), || async {
            match entries.create(&parameters, &nonsense).await {
                Err(kube::Error::Api(status)) if status.code == 400 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Stops it as an operator would.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate(STOP).await;
        }
    }

    /// Starts it again on the same ports, after [`Self::stop`] or while it runs, and returns when it is ready.
    pub async fn start_again(&mut self) {
        self.process = None;
        if let Err(reason) = self.try_start_again().await {
            panic!("istiod did not start again: {reason}");
        }
    }

    /// The port on which proxies ask it, without TLS.
    pub(super) fn grpc_port(&self) -> u16 {
        self.grpc_port
    }

    /// The port on which it issues certificates, with TLS.
    pub(super) fn secure_port(&self) -> u16 {
        self.secure_port
    }

    /// How many messages of each type (`cds`, `eds`, `lds`, `rds`) it has pushed to proxies so far.
    pub async fn pushes(&self) -> BTreeMap<String, u64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.monitoring_port);
        let text = reqwest::get(url).await.expect("istiod serves metrics").text().await.expect("metrics are text");
        let lines = text.lines().filter_map(|line| line.strip_prefix("pilot_xds_pushes{"));
        let mut pushes = BTreeMap::new();
        for (labels, value) in lines.filter_map(|line| line.split_once("} ")) {
            let kind = labels.split("type=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            let value: f64 = value.parse().expect("a metric is a number");
            *pushes.entry(kind.to_owned()).or_default() += value as u64;
        }
        pushes
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }
}

const ENVIRONMENT: [(&str, &str); 13] = [
    ("REVISION", "default"),
    ("POD_NAME", "istiod-0"),
    ("POD_NAMESPACE", "istio-system"),
    ("CLUSTER_ID", "Kubernetes"),
    ("ISTIOD_CUSTOM_HOST", "127.0.0.1,localhost"),
    ("VALIDATION_WEBHOOK_CONFIG_NAME", WEBHOOK),
    ("INJECT_ENABLED", "false"),
    ("PILOT_ENABLE_GATEWAY_API", "false"),
    ("PILOT_ENABLE_AMBIENT", "false"),
    // These two name filters that only Istio's own build of Envoy has.
    ("PILOT_ENABLE_ALPN_FILTER", "false"),
    ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
    // Each change is pushed by itself, so that pushes can be counted.
    ("PILOT_DEBOUNCE_AFTER", "10ms"),
    ("PILOT_ENABLE_EDS_DEBOUNCE", "false"),
];
