//! Envoy as a sidecar, without iptables: every service port of the mesh is a
//! port of 127.0.0.1.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::binaries::MeshBinaries;
use super::directory::Directory;
use super::istiod::Istiod;
use super::pilot_agent::PilotAgent;
use super::ports::free_port;
use super::process::{Process, Program};
use super::ready;

/// The workload whose sidecar an Envoy is.
#[derive(Clone, Copy)]
pub struct Workload<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its address, one of loopback.
    pub address: &'a str,
    /// Where it runs: region and zone.
    pub locality: (&'a str, &'a str),
    /// Who it is; without one its Envoy has no certificate.
    pub identity: Option<&'a PilotAgent>,
}

impl Default for Workload<'_> {
    fn default() -> Self {
        Self { namespace: "default", address: "127.0.0.1", locality: ("", ""), identity: None }
    }
}

/// A running Envoy that istiod tells what to do.
pub struct Envoy {
    // Dropped in this order: the process before its files.
    process: Process,
    _directory: Directory,
    client: Client,
    admin: u16,
}

impl Envoy {
    /// Starts one as the sidecar of a workload in the namespace `default`, and returns when it serves.
    pub async fn start(binaries: &'static MeshBinaries, istiod: &Istiod) -> Self {
        Self::start_for(binaries, istiod, &Workload::default()).await
    }

    /// Starts one as the sidecar of a workload, and returns when it serves.
    pub async fn start_for(binaries: &'static MeshBinaries, istiod: &Istiod, workload: &Workload<'_>) -> Self {
        ready::start("envoy", || Self::try_start(binaries, istiod.grpc_port(), workload)).await
    }

    async fn try_start(binaries: &MeshBinaries, istiod: u16, workload: &Workload<'_>) -> Result<Self, String> {
        let directory = Directory::new("envoy");
        let admin = free_port();
        let bootstrap = directory.write("bootstrap.json", bootstrap(istiod, admin, workload));
        let mut process = Program::new(&binaries.envoy, directory.path())
            .arg("--config-path")
            .arg(bootstrap)
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"])
            .start();
        let url = format!("http://127.0.0.1:{admin}/ready");
        ready::ready(&mut process, || async {
            let answer = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            answer.error_for_status().map(drop).map_err(|error| error.to_string())
        })
        .await?;
        let client = Client::builder().timeout(Duration::from_secs(5)).build().expect("the options are valid");
        Ok(Self { process, _directory: directory, client, admin })
    }

    /// Asks for `/` through it, by the host and service port of an entry; the text of the answer.
    pub async fn get(&self, host: &str, port: u16) -> Result<String, String> {
        self.get_with(host, port, &[]).await
    }

    /// Likewise, with headers.
    pub async fn get_with(&self, host: &str, port: u16, headers: &[(&str, &str)]) -> Result<String, String> {
        let mut request = self.client.get(format!("http://127.0.0.1:{port}/")).header("Host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
        if status == StatusCode::OK { Ok(text) } else { Err(format!("{status}: {text}")) }
    }

    /// The sum of its counters whose names end so.
    pub async fn count(&self, name: &str) -> u64 {
        let url = format!("http://127.0.0.1:{}/stats", self.admin);
        let text = reqwest::get(url).await.expect("Envoy serves its counters").text().await.expect("they are text");
        let counters = text.lines().filter_map(|line| line.split_once(": ")).filter(|(found, _)| found.ends_with(name));
        counters.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn bootstrap(istiod: u16, admin: u16, workload: &Workload<'_>) -> String {
    let address = |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let ads = json!({"resource_api_version": "V3", "ads": {}});
    let Workload { namespace, address: own, locality: (region, zone), identity } = workload;
    let mut clusters = vec![cluster("xds-grpc", &address(istiod))];
    // By this name istiod's clusters and listeners ask for certificates.
    clusters.extend(identity.map(|agent| cluster("sds-grpc", &json!({"pipe": {"path": agent.socket()}}))));
    json!({
        "node": {
            "id": format!("sidecar~{own}~app.{namespace}~{namespace}.svc.cluster.local"),
            "cluster": format!("app.{namespace}"),
            "locality": {"region": region, "zone": zone},
            "metadata": {
                "NAMESPACE": namespace,
                "CLUSTER_ID": "Kubernetes",
                "INTERCEPTION_MODE": "NONE",
                "ISTIO_VERSION": "1.31.0",
            },
        },
        "admin": {"address": address(admin)},
        "dynamic_resources": {
            "lds_config": ads,
            "cds_config": ads,
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
        },
        "static_resources": {"clusters": clusters},
    })
    .to_string()
}

/// A static cluster of one server of gRPC.
fn cluster(name: &str, address: &Value) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    })
}
