//! An installation's life by Helm: installed, upgraded, rolled back, removed. The entries outlive it.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, PostParams};
use polaris2istio_tests::servers::{self, Manifests};
use serde_json::json;

#[tokio::test]
async fn helm_installs_upgrades_rolls_back_and_removes() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries_with_helm()) else { return };
    let api = &servers.api;
    let entries = api.create_namespace("helm").await;
    let own = format!("{entries}-own");
    let kept = serde_json::from_value(json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "kept", "namespace": entries},
        "spec": {"hosts": ["dev.kept.polaris"], "resolution": "STATIC", "endpoints": [{"address": "10.0.0.1"}]},
    }))
    .unwrap();
    api.service_entries(&entries).await.create(&PostParams::default(), &kept).await.unwrap();
    let deployments: Api<Deployment> = Api::namespaced(api.client().await, &own);
    let memory = async || {
        let deployment = deployments.get("polaris2istio").await.unwrap();
        let resources = deployment.spec.unwrap().template.spec.unwrap().containers.remove(0).resources.unwrap();
        resources.requests.unwrap()["memory"].0.clone()
    };
    let served = format!("entriesNamespace={entries}");
    let release = ["polaris2istio", "CHART", "--namespace", &own, "--set", &served];
    Manifests::run_helm(binaries, api, &[&["install", "--create-namespace"], &release[..]].concat()).await;
    assert_eq!(memory().await, "64Mi");
    let more = ["--set", "resources.requests.memory=96Mi"];
    Manifests::run_helm(binaries, api, &[&["upgrade"], &release[..], &more[..]].concat()).await;
    assert_eq!(memory().await, "96Mi");
    Manifests::run_helm(binaries, api, &["rollback", "polaris2istio", "1", "--namespace", &own]).await;
    assert_eq!(memory().await, "64Mi");
    Manifests::run_helm(binaries, api, &["uninstall", "polaris2istio", "--namespace", &own, "--cascade=background"])
        .await;
    assert!(deployments.get_opt("polaris2istio").await.unwrap().is_none());
    let live = api.service_entries(&entries).await.get("kept").await.unwrap();
    assert_eq!(live.data["spec"]["endpoints"], json!([{"address": "10.0.0.1"}]));
}
