//! The API server's word on the manifests, and the binary's on what they set.

use std::process::Command;

use kube::api::{Api, PostParams};
use polaris2istio_tests::servers::{self, Manifests};
use polaris2istio_tests::{binary, wait_for};
use serde_json::{Value, json};

use super::selectors::one;
use super::{Binaries, VARIANTS};

#[tokio::test]
async fn the_server_takes_all_of_it() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries_with_helm()) else { return };
    let api = &servers.api;
    api.apply(&Manifests::service_monitor_crd(binaries).0, false).await;
    wait_for("ServiceMonitors are served", std::time::Duration::from_secs(30), || async {
        let request = http::Request::get("/apis/monitoring.coreos.com/v1/servicemonitors").body(Vec::new()).unwrap();
        api.client().await.request_text(request).await.map(drop)
    })
    .await;
    for variant in VARIANTS {
        let entries = api.create_namespace("schema").await;
        for manifests in [variant.kustomize(binaries), variant.helm(binaries)] {
            let own = format!("{entries}-system");
            // Whichever namespace the variant serves.
            let mut manifests = manifests.moved(&own, &entries);
            let served = ["Role", "RoleBinding"];
            let others = manifests.0.iter_mut().filter(|object| served.contains(&object["kind"].as_str().unwrap()));
            others.for_each(|object| object["metadata"]["namespace"] = json!(entries));
            // A dry run goes by what is there, and leaves nothing for the next object to stand on.
            let first = ["Namespace", "ServiceAccount"];
            let first = manifests.0.iter().filter(|object| first.contains(&object["kind"].as_str().unwrap()));
            api.apply(&first.cloned().collect::<Vec<_>>(), false).await;
            api.apply(&manifests.0, true).await;
            check_pod(&manifests, &own).await;
        }
    }
}

/// The namespace enforces the strictest level of pod security, so a pod of the Deployment's template must pass it.
async fn check_pod(manifests: &Manifests, own: &str) {
    let template = one(manifests, "Deployment")["spec"]["template"].clone();
    create_pod(own, &template).await.expect("the pod is within what the namespace allows");
    for (path, value) in [
        ("/spec/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
        ("/spec/securityContext/runAsNonRoot", json!(false)),
        ("/spec/securityContext/seccompProfile/type", json!("Unconfined")),
        ("/spec/containers/0/securityContext/capabilities/drop", json!([])),
    ] {
        let mut loose = template.clone();
        *loose.pointer_mut(path).unwrap() = value;
        let refused = create_pod(own, &loose).await.expect_err(path).to_string();
        assert!(refused.contains("violates PodSecurity"), "{path}: {refused}");
    }
}

/// Asks the server whether it would take a pod of this template.
async fn create_pod(namespace: &str, template: &Value) -> Result<(), kube::Error> {
    let servers = servers::shared().await.unwrap();
    let mut pod = template.clone();
    pod["metadata"]["name"] = json!("trial");
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(servers.api.client().await, namespace);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    pods.create(&dry_run, &serde_json::from_value(pod).unwrap()).await.map(drop)
}

#[test]
fn every_variable_is_one_that_the_binary_knows() {
    let Some(binaries) = servers::binaries_with_helm() else { return };
    let help = Command::new(binary()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for variant in VARIANTS {
        let manifests = variant.kustomize(binaries);
        let container = &one(&manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0];
        let names = container["env"].as_array().unwrap().iter().map(|variable| variable["name"].as_str().unwrap());
        let ours: Vec<_> = names.filter(|name| name.starts_with("POLARIS2ISTIO_")).collect();
        assert!(ours.len() >= 4, "{ours:?}");
        ours.iter().for_each(|name| assert!(help.contains(&format!("[env: {name}")), "{name}"));
    }
}

#[test]
fn versions_are_the_workspaces() {
    let Some(binaries) = servers::binaries_with_helm() else { return };
    for manifests in [base(binaries), Manifests::helm(binaries, None)] {
        let image = &one(&manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"];
        assert_eq!(image, concat!("polaris2istio:", env!("CARGO_PKG_VERSION")));
    }
}

fn base(binaries: &Binaries) -> Manifests {
    Manifests::kustomize(binaries, "base")
}
