//! Names in the cluster's DNS, as a pod's resolver finds them by its search list.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use polaris2istio_tests::servers::{CoreDns, User};
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::controller::Start;
use super::mesh::{Callable, Mesh};
use super::rights::{self, grant};
use super::world::World;
use super::{SOON, report};

/// How soon a name is there once its entry is: some tenths of a second, on a machine that compiles beside it a few whole ones.
const PROMPT: Duration = Duration::from_secs(10);

/// The resolver of a pod in a namespace, as kubelet configures it.
pub(crate) fn pod(dns: &CoreDns, namespace: &str) -> TokioResolver {
    let search = [format!("{namespace}.svc.cluster.local"), "svc.cluster.local".into(), "cluster.local".into()];
    let search = search.iter().map(|name| Name::from_ascii(format!("{name}.")).unwrap()).collect();
    let mut udp = ConnectionConfig::udp();
    udp.port = dns.address().port();
    let server = NameServerConfig::new(dns.address().ip(), true, vec![udp]);
    let config = ResolverConfig::from_parts(None, search, vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.ndots = 5;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build().unwrap()
}

/// The addresses of a name; `None` if there is no such name.
async fn resolve(pod: &TokioResolver, name: &str) -> Option<BTreeSet<IpAddr>> {
    match pod.lookup_ip(name).await {
        Ok(found) => Some(found.iter().collect()),
        Err(error) => {
            assert!(error.is_nx_domain(), "{name}: {error}");
            None
        }
    }
}

/// Waits until a name has these addresses, or none.
pub(crate) async fn resolves(pod: &TokioResolver, name: &str, expected: Option<&[IpAddr]>, within: Duration) {
    let expected: Option<BTreeSet<IpAddr>> = expected.map(|all| all.iter().copied().collect());
    wait_for(&format!("{name} resolves to {expected:?}"), within, || async {
        let found = resolve(pod, name).await;
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

fn addresses(entry: &Value) -> Vec<IpAddr> {
    let all = entry["status"]["addresses"].as_array().unwrap();
    all.iter().map(|address| address["value"].as_str().unwrap().parse().unwrap()).collect()
}

pub(crate) async fn with_address(world: &World, name: &str) -> Vec<IpAddr> {
    let allocated = |entry: &Value| entry["status"]["addresses"][0].is_object();
    addresses(&world.until("it has an address", name, allocated).await)
}

/// A controller that may do what names need, and no more.
async fn controller(mesh: &Mesh, world: &World, dns: &str) -> Start {
    grant(&mesh.api, &world.namespace, &[rights::ENTRIES, rights::EVENTS, rights::SERVICES, rights::SLICES]).await;
    world.controller().kubeconfig(&mesh.api.kubeconfig(User::Limited)).flag("dns", dns).flag("state", "none")
}

#[tokio::test]
async fn names_lead_to_the_virtual_ip() {
    let Some(mesh) = Mesh::shared().await else { return };
    let (world, dns) = (mesh.world("names").await, CoreDns::start(mesh.binaries, &mesh.api).await);
    let mut controller = controller(mesh, &world, "records").await.start();
    let namespace = &world.namespace;
    let (near, far) = (pod(&dns, namespace), pod(&dns, "default"));
    // The first entry finds the controller running.
    controller.says(&["serving the ServiceEntries of a cluster"]).await;
    let host = format!("dev.cart.{namespace}");
    assert_eq!(resolve(&far, &host).await, None);
    let created = Instant::now();
    world.create(&Callable::new(&world, "cart").entry).await;
    let vip = with_address(&world, "cart").await;
    assert_eq!(vip.len(), 2, "one of each family");
    resolves(&far, &host, Some(&vip), PROMPT).await;
    let took = created.elapsed();
    report(&format!("entry created -> its name resolves: {:.2} s", took.as_secs_f64()));
    assert!(took < PROMPT, "{took:?}");

    for name in
        [&host, &format!("{host}.svc"), &format!("{host}.svc.cluster.local"), &format!("{host}.svc.cluster.local.")]
    {
        assert_eq!(resolve(&far, name).await, Some(vip.iter().copied().collect()), "{name}");
    }
    assert_eq!(resolve(&near, "dev.cart").await, Some(vip.iter().copied().collect()));
    assert_eq!(resolve(&far, &format!("nobody.cart.{namespace}")).await, None);
    let reverse = far.reverse_lookup(vip[0]).await.unwrap();
    assert!(
        reverse.answers().iter().any(|record| record.data.to_string() == format!("{host}.svc.cluster.local.")),
        "{reverse:?}"
    );

    // An object that another writer deletes or changes is restored.
    let selector = "--selector=polaris2istio.aeraki.net/names";
    mesh.api.kubectl(&["delete", "endpointslices,services", selector, "--namespace", namespace], "").await;
    resolves(&far, &host, Some(&vip), SOON).await;
    let patch = r#"[{"op": "replace", "path": "/endpoints/0/hostname", "value": "other"}]"#;
    let slices =
        mesh.api.kubectl(&["get", "endpointslices", selector, "--namespace", namespace, "--output=name"], "").await;
    for slice in slices.lines() {
        mesh.api.kubectl(&["patch", slice, "--namespace", namespace, "--type=json", "--patch", patch], "").await;
    }
    resolves(&far, &format!("other.cart.{namespace}"), None, SOON).await;
    resolves(&far, &host, Some(&vip), SOON).await;

    // Another virtual IP, now by hand; and a second host of the same service.
    world.patch("cart", "kubectl", &json!({"spec": {"addresses": ["240.240.77.1"]}})).await;
    let moved: IpAddr = "240.240.77.1".parse().unwrap();
    resolves(&far, &host, Some(&[moved]), SOON).await;
    let second =
        Callable::new(&world, "second").entry.with(&json!({"spec": {"hosts": [format!("test.cart.{namespace}")]}}));
    world.create(&second).await;
    let other = with_address(&world, "second").await;
    resolves(&far, &format!("test.cart.{namespace}"), Some(&other), SOON).await;
    resolves(&far, &format!("cart.{namespace}"), Some(&[&[moved][..], &other].concat()), SOON).await;

    // Its loss, by deletion and by a label, also while no controller ran.
    world.delete("cart").await;
    resolves(&far, &host, None, SOON).await;
    resolves(&far, &format!("test.cart.{namespace}"), Some(&other), SOON).await;
    assert!(controller.stop().await.success());
    world.patch("second", "kubectl", &json!({"metadata": {"labels": {"registry": null}}})).await;
    controller.start_again();
    resolves(&far, &format!("test.cart.{namespace}"), None, SOON).await;
    resolves(&far, &format!("cart.{namespace}"), None, SOON).await;
    assert_eq!(controller.said(&["forbidden"]), 0, "{:?}", controller.log());
}

#[tokio::test]
async fn names_without_rights_cost_nothing_else() {
    let Some(mesh) = Mesh::shared().await else { return };
    let (world, dns) = (mesh.world("rights").await, CoreDns::start(mesh.binaries, &mesh.api).await);
    let start = controller(mesh, &world, "records").await;
    grant(&mesh.api, &world.namespace, &[rights::ENTRIES]).await;
    let controller = start.start();
    world.create(&Callable::new(&world, "cart").entry).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.endpoints("cart", &["10.0.0.1"]).await;
    for kind in ["Services", "EndpointSlices"] {
        controller.says(&["WARN", &format!("watching the {kind} of names"), "forbidden", "grant this identity"]).await;
    }
    grant(&mesh.api, &world.namespace, &[rights::ENTRIES, rights::EVENTS, rights::SERVICES, rights::SLICES]).await;
    let vip = with_address(&world, "cart").await;
    resolves(&pod(&dns, "default"), &format!("dev.cart.{}", world.namespace), Some(&vip), SOON).await;
    controller.says(&["INFO", "watching the Services of names", "works again"]).await;
}

#[tokio::test]
async fn aliases_and_endpoints() {
    let Some(mesh) = Mesh::shared().await else { return };
    let (world, dns) = (mesh.world("aliases").await, CoreDns::start(mesh.binaries, &mesh.api).await);
    let namespace = &world.namespace;
    let controller = controller(mesh, &world, "off").await.start();
    let far = pod(&dns, "default");
    let mode = |name: &str, mode: &str| Callable::new(&world, name).entry.annotated("aeraki.net/dns", mode);

    let hosts = json!({"spec": {"hosts": [format!("dev.web.{namespace}"), format!("web-dev.{namespace}")]}});
    world.create(&mode("web", "cname").with(&hosts)).await;
    with_address(&world, "web").await;
    let dotted = format!("dev.web.{namespace}");
    // The records of the two families come one after the other.
    let both = || async { resolve(&far, &dotted).await.filter(|all| all.len() > 1).ok_or("not both families") };
    let vip = wait_for("the record is there", SOON, both).await;
    let vip: Vec<_> = vip.into_iter().collect();
    resolves(&far, &format!("web-dev.{namespace}"), Some(&vip), SOON).await;

    world.create(&mode("direct", "endpoints")).await;
    world.register("direct", &["10.1.0.1", "10.1.0.2"]).await;
    let direct = format!("dev.direct.{namespace}");
    let address = |last: u8| IpAddr::from([10, 1, 0, last]);
    resolves(&far, &direct, Some(&[address(1), address(2)]), SOON).await;
    world.deregister("direct", &["10.1.0.1"]).await;
    resolves(&far, &direct, Some(&[address(2)]), SOON).await;

    // Nothing is published for those, and the reason is told.
    world.create(&mode("odd", "recrods")).await;
    controller.says(&["WARN", "dns-annotation", "/odd", "recrods"]).await;
    world.create(&mode("elsewhere", "records").with(&json!({"spec": {"hosts": ["dev.elsewhere.other"]}}))).await;
    controller.says(&["WARN", "dns-host", "/elsewhere", "does not end in"]).await;
    mesh.told(namespace, "elsewhere", "NameNotPublished").await;

    // A foreign Service is left alone.
    let theirs = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop", "namespace": namespace},
                        "spec": {"clusterIP": "None"}});
    mesh.apply(&theirs).await;
    let get = ["get", "service", "shop", "--namespace", namespace, "--output=json", "--show-managed-fields"];
    let before = mesh.api.kubectl(&get, "").await;
    world.create(&mode("shop", "records")).await;
    controller.says(&["WARN", "/shop", "not ours"]).await;
    assert_eq!(mesh.api.kubectl(&get, "").await, before);
    world.delete("shop").await;
    world.delete("web").await;
    resolves(&far, &dotted, None, SOON).await;
    assert_eq!(mesh.api.kubectl(&get, "").await, before);
}
