//! An entry that nobody wrote: found by its name, and answered by what is registered.

use std::time::Instant;

use polaris2istio::policy::crd;
use polaris2istio_tests::Backend;
use polaris2istio_tests::servers::{CoreDns, User, free_port};
use serde_json::json;

use super::mesh::{Callable, Mesh};
use super::names::{pod, resolves, with_address};
use super::rights::{self, grant};
use super::traffic::{answered, instance};
use super::{SOON, report};

#[tokio::test]
async fn traffic_flows_to_what_a_policy_made() {
    let Some(mesh) = Mesh::shared().await else { return };
    let (world, envoy) = (mesh.world("policy").await, mesh.envoy().await);
    let dns = CoreDns::start(mesh.binaries, &mesh.api).await;
    mesh.apply(&crd()).await;
    let kind = "crd/polarisimports.polaris2istio.aeraki.net";
    mesh.api.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", kind], "").await;
    let namespace = &world.namespace;
    let cart = Callable { entry: world.entry("cart"), host: format!("dev.cart.{namespace}"), port: free_port() };
    let template = json!({
        "hosts": [format!("dev.{{service}}.{namespace}")],
        "ports": [{"name": "http", "number": cart.port, "protocol": "HTTP"}],
        "annotations": {"aeraki.net/dns": "records"},
    });
    mesh.apply(&json!({
        "apiVersion": "polaris2istio.aeraki.net/v1alpha1", "kind": "PolarisImport",
        "metadata": {"name": "all", "namespace": namespace},
        "spec": {"polarisNamespace": namespace, "template": template},
    }))
    .await;
    let names = [rights::ENTRIES, rights::EVENTS, rights::SERVICES, rights::SLICES];
    grant(&mesh.api, namespace, &[&names[..], &rights::POLICIES].concat()).await;
    let start = world.controller().kubeconfig(&mesh.api.kubeconfig(User::Limited)).flag("state", "none");
    let _controller = start.switch("policies").switch("allow-loopback").start();
    let backend = Backend::start("made").await;
    let registered = Instant::now();
    world.admin.register(&instance(&world, "cart", &backend)).await;
    answered(&envoy, &cart, &[], "made").await;
    let took = registered.elapsed().as_secs_f64();
    report(&format!("service registered -> its entry is made and a request answered: {took:.2} s"));
    let vip = with_address(&world, "cart").await;
    resolves(&pod(&dns, "default"), &cart.host, Some(&vip), SOON).await;
    // The instance moves, as with any entry.
    let other = Backend::start("other").await;
    world.admin.register(&instance(&world, "cart", &other)).await;
    world.admin.deregister(&instance(&world, "cart", &backend)).await;
    answered(&envoy, &cart, &[], "other").await;
}
