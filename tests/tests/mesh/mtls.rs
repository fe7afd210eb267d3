//! Mutual TLS between workloads of the mesh: a workload under STRICT refuses whoever comes by an entry that does not say
//! which service account its instances run as, and serves whoever comes by one that does.

use polaris2istio_tests::servers::{Envoy, Instance, IstiodOptions, PilotAgent, Workload, free_port};
use polaris2istio_tests::{Backend, wait_for};
use serde_json::{Value, json};

use super::churn::{Pushes, grown, quiet};
use super::mesh::{Callable, Mesh};
use super::world::World;
use super::{SOON, report};

/// The address of the workload that is called. The caller is at 127.0.0.1.
const SERVER: &str = "127.0.0.2";

/// A caller and a workload of its own namespace that is called, each with a sidecar and a certificate of istiod's.
struct Pair {
    mesh: Mesh,
    world: World,
    cart: Callable,
    instance: Instance,
    caller: Envoy,
    _server: Envoy,
    _agents: [PilotAgent; 2],
    _backend: Backend,
}

impl Pair {
    async fn start() -> Option<Self> {
        let mesh = Mesh::start_with(&IstiodOptions { auto_mtls: true, ..IstiodOptions::default() }).await?;
        let world = mesh.world("mtls").await;
        let (backend, port) = (Backend::start("cart").await, free_port());
        // Without iptables a sidecar listens where it is told to, and nowhere else.
        let ingress = json!({
            "port": {"number": port, "protocol": "HTTP", "name": "http"}, "bind": SERVER, "captureMode": "NONE",
            "defaultEndpoint": format!("127.0.0.1:{}", backend.port()),
        });
        let spec = json!({"ingress": [ingress], "egress": [{"hosts": ["~/*"]}]});
        mesh.apply(&object(&world, "networking.istio.io", "Sidecar", &spec)).await;
        let agent = async |namespace: &str, account: &str| {
            PilotAgent::start(mesh.binaries, &mesh.istiod, &mesh.api, (namespace, account)).await
        };
        let agents = [agent("default", "caller").await, agent(&world.namespace, "cart").await];
        let sidecar = async |namespace: &str, address: &str, identity: &PilotAgent| {
            let workload = Workload { namespace, address, identity: Some(identity), ..Workload::default() };
            Envoy::start_for(mesh.binaries, &mesh.istiod, &workload).await
        };
        let caller = sidecar("default", "127.0.0.1", &agents[0]).await;
        let server = sidecar(&world.namespace, SERVER, &agents[1]).await;
        let instance = Instance::new(&world.namespace, "cart", SERVER, port).protocol("http").weight(100);
        let cart = Callable::new(&world, "cart");
        Some(Self { mesh, world, cart, instance, caller, _server: server, _agents: agents, _backend: backend })
    }

    async fn strict(&self, mode: &str) {
        let spec = json!({"mtls": {"mode": mode}});
        self.mesh.apply(&object(&self.world, "security.istio.io", "PeerAuthentication", &spec)).await;
    }

    /// Lets only this identity in.
    async fn allow(&self, principal: &str) {
        let spec = json!({"action": "ALLOW", "rules": [{"from": [{"source": {"principals": [principal]}}]}]});
        self.mesh.apply(&object(&self.world, "security.istio.io", "AuthorizationPolicy", &spec)).await;
    }

    async fn annotate(&self, key: &str, value: &str) {
        self.world.patch("cart", "operator", &json!({"metadata": {"annotations": {key: value}}})).await;
    }

    async fn served(&self) {
        wait_for("the call is served", SOON, || async {
            let answer = self.caller.get(&self.cart.host, self.cart.port).await;
            if answer.as_deref() == Ok("cart") { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    }

    /// Waits until a call is refused with these words.
    async fn refused(&self, words: &str) {
        wait_for(&format!("the call is refused: {words}"), SOON, || async {
            let answer = self.caller.get(&self.cart.host, self.cart.port).await;
            if answer.as_ref().is_err_and(|error| error.contains(words)) { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    }

    /// The pushes for a change, once the entry's endpoints are as they should be.
    async fn pushes(&self, change: impl AsyncFnOnce(), fits: impl Fn(&Value) -> bool) -> Pushes {
        let before = quiet(&self.mesh.istiod).await;
        change().await;
        self.world.until("the endpoints follow", "cart", |entry| fits(&entry["spec"]["endpoints"])).await;
        grown(&quiet(&self.mesh.istiod).await, &before)
    }
}

fn object(world: &World, group: &str, kind: &str, spec: &Value) -> Value {
    let metadata = json!({"name": "default", "namespace": world.namespace});
    json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": metadata, "spec": spec})
}

#[tokio::test]
async fn a_service_account_makes_it_mutual_tls() {
    let Some(pair) = Pair::start().await else { return };
    let controller = pair.world.controller().switch("allow-loopback").start();
    pair.world.admin.register(&pair.instance).await;
    pair.world.create(&pair.cart.entry).await;
    // Plain text, which is taken until the workload is strict.
    pair.served().await;
    pair.strict("STRICT").await;
    pair.refused("503").await;

    let account = "aeraki.net/serviceAccount";
    let is_cart = |endpoints: &Value| endpoints[0]["serviceAccount"] == "cart";
    let pushes = pair.pushes(async || pair.annotate(account, "cart").await, is_cart).await;
    report(&format!("the first service account of an entry: pushes {pushes:?}"));
    assert!(pushes.contains_key("cds"), "a full push: {pushes:?}");
    pair.served().await;
    let is_lighter = |endpoints: &Value| endpoints[0]["weight"] == 50 && is_cart(endpoints);
    let lighter = pair.instance.clone().weight(50);
    let pushes = pair.pushes(async || pair.world.admin.update(&lighter).await, is_lighter).await;
    report(&format!("a change of an endpoint that has one: pushes {pushes:?}"));
    assert_eq!(pushes.keys().collect::<Vec<_>>(), ["eds"], "{pushes:?}");

    // Each side holds the other to its SPIFFE name: the caller to that of the entry, the workload to that of its policy.
    assert_eq!(pair.caller.count("ssl.fail_verify_san").await, 0);
    pair.annotate(account, "another").await;
    pair.refused("503").await;
    assert!(pair.caller.count("ssl.fail_verify_san").await > 0, "the name in the certificate is another");
    // An entry may name others, such as those of pods in another namespace than its own.
    let names = json!([format!("spiffe://cluster.local/ns/{}/sa/cart", pair.world.namespace)]);
    pair.world.patch("cart", "operator", &json!({"spec": {"subjectAltNames": names}})).await;
    pair.served().await;
    pair.world.patch("cart", "operator", &json!({"spec": {"subjectAltNames": null}})).await;
    pair.refused("503").await;
    pair.annotate(account, "cart").await;
    pair.served().await;
    pair.allow("cluster.local/ns/default/sa/another").await;
    pair.refused("RBAC: access denied").await;
    pair.allow("cluster.local/ns/default/sa/caller").await;
    pair.served().await;

    // istiod speaks plain text to whatever is outside the mesh, and the rules say so.
    assert_eq!(controller.said(&["service-account-external"]), 0, "{:?}", controller.log());
    pair.annotate("aeraki.net/external", "true").await;
    pair.refused("503").await;
    controller.says(&["service-account-external", "/cart"]).await;
    pair.annotate("aeraki.net/external", "false").await;
    pair.served().await;
}
