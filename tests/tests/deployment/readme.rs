//! The documents' commands, run as they stand there.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::rbac::v1::Role;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use polaris2istio_tests::servers::{self, ApiServer, Binaries, Manifests};
use serde_json::{Value, json};

use super::docs::Document;
use super::example;

/// The controller's own namespace, and that of the entries, as the documents name them.
const OWN: &str = "polaris2istio";
const ENTRIES: &str = "polaris";

#[tokio::test]
async fn the_documents_commands_install() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries_with_helm()) else { return };
    let api = &servers.api;
    run(binaries, api, &block("kubectl create namespace")).await;
    run(binaries, api, &block("helm install")).await;
    check_deployed(api).await;
    Manifests::run_helm(binaries, api, &["uninstall", OWN, "--namespace", OWN, "--cascade=background"]).await;

    run(binaries, api, &block("kubectl apply -k")).await;
    check_deployed(api).await;
    run(binaries, api, &block("kubectl create secret")).await;
    let secrets: Api<Secret> = Api::namespaced(api.client().await, OWN);
    let keys = async |name| secrets.get(name).await.unwrap().data.unwrap().into_keys().collect::<Vec<_>>();
    assert_eq!(keys("polaris-token").await, ["token"]);
    assert_eq!(keys("polaris-tls").await, ["ca.crt", "tls.crt", "tls.key"]);
    check_names_removed(binaries, api).await;
}

/// It follows the Polaris of the document, and may do no more than it needs.
async fn check_deployed(api: &ApiServer) {
    let deployments: Api<Deployment> = Api::namespaced(api.client().await, OWN);
    let deployment = serde_json::to_value(deployments.get(OWN).await.unwrap()).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let image = concat!("registry.example.com/polaris2istio:", env!("CARGO_PKG_VERSION"));
    assert_eq!(container["image"], image);
    let variables = container["env"].as_array().unwrap();
    let address = json!({"name": "POLARIS2ISTIO_POLARIS_ADDRESS", "value": "polaris.example.com:8091"});
    assert!(variables.contains(&address), "{variables:?}");
    let roles: Api<Role> = Api::namespaced(api.client().await, ENTRIES);
    let roles = roles.list(&ListParams::default()).await.unwrap();
    assert_eq!(roles.iter().map(Role::name_any).collect::<Vec<_>>(), [OWN]);
}

/// The command for what is left over of names takes nothing else.
async fn check_names_removed(binaries: &Binaries, api: &ApiServer) {
    let service = |name: &str, labels: Value| {
        let metadata = json!({"name": name, "namespace": ENTRIES, "labels": labels});
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"clusterIP": "None"}})
    };
    let ours = service("ours", json!({"polaris2istio.aeraki.net/names": "reviews"}));
    api.apply(&[ours, service("theirs", json!({}))], false).await;
    let document = Document::with("names left over").text;
    let start = document.find("kubectl delete services,endpointslices").expect("the document has the command");
    run(binaries, api, document[start..].split('`').next().unwrap()).await;
    let services: Api<Service> = Api::namespaced(api.client().await, ENTRIES);
    let left = services.list(&ListParams::default()).await.unwrap();
    assert_eq!(left.iter().map(Service::name_any).collect::<Vec<_>>(), ["theirs"]);
}

/// The lines of the one block in which `command` is.
fn block(command: &str) -> String {
    let document = Document::with("installation");
    let found: Vec<_> = document.scripts().filter(|block| block.contains(command)).collect();
    assert_eq!(found.len(), 1, "blocks of {} with `{command}`", document.path);
    found[0].to_owned()
}

/// In a checkout of its own, with files where an operator would have them.
async fn run(binaries: &Binaries, api: &ApiServer, script: &str) {
    let checkout = example::checkout();
    for name in ["polaris.token", "ca.crt", "tls.crt", "tls.key"] {
        std::fs::write(checkout.path().join(name), "of a test").unwrap();
    }
    Manifests::run_script(binaries, api, checkout.path(), script).await;
}
