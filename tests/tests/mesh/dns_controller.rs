//! The DNS controller writes only when it may, and removes no name because the CRD of entries went.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use polaris2istio::dns::{DnsController, LABEL, Mode, Options, Settings, tap};
use polaris2istio::entries::KubernetesEntries;
use polaris2istio::istio::{ServiceEntry, VERSIONS};
use polaris2istio::writes::WriteRateLimiter;
use polaris2istio_tests::servers::{ApiServer, binaries};
use polaris2istio_tests::wait_for;
use serde_json::json;

use super::SOON;
use super::entry::Entry;

/// Whether the controller may write, and how often it asked.
#[derive(Default)]
struct Gate {
    open: AtomicBool,
    asked: AtomicUsize,
}

impl Gate {
    fn ask(&self) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.open.load(Ordering::SeqCst)
    }

    /// Waits until it asked again, twice: so it reconciled everything in between.
    async fn reconciled(&self) {
        let before = self.asked.load(Ordering::SeqCst);
        wait_for("the controller reconciles", SOON, || async {
            let asked = self.asked.load(Ordering::SeqCst) - before;
            if asked >= 2 { Ok(()) } else { Err(asked) }
        })
        .await;
    }
}

async fn slices(api: &ApiServer, namespace: &str) -> usize {
    let slices: Api<EndpointSlice> = Api::namespaced(api.client().await, namespace);
    slices.list(&ListParams::default().labels(LABEL)).await.unwrap().items.len()
}

async fn until(api: &ApiServer, namespace: &str, count: usize) {
    wait_for(&format!("{count} slices"), SOON, || async {
        let found = slices(api, namespace).await;
        if found == count { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test]
async fn names_outlive_the_crd() {
    let Some(binaries) = binaries() else { return };
    let api = ApiServer::start(binaries).await;
    let namespace = api.create_namespace("crd").await;
    let entries = api.service_entries(&namespace).await;
    let spec = json!({"spec": {"hosts": [format!("dev.cart.{namespace}")], "addresses": ["240.240.1.1"]}});
    let entry = Entry::new(&namespace, "cart").with(&spec);
    entries.create(&Default::default(), &serde_json::from_value(entry.0).unwrap()).await.unwrap();

    let gate = Arc::new(Gate::default());
    let (client, resource) = (api.client().await, ServiceEntry::resource(VERSIONS[0]));
    let events = KubernetesEntries::new(client.clone(), resource.clone(), namespace.clone()).events();
    let (events, entries) = tap(events, resource.api_version.clone());
    let asked = Arc::clone(&gate);
    let controller = DnsController::new(
        client,
        Options {
            namespace: namespace.clone(),
            entry: resource,
            settings: Settings { mode: Mode::Records, cluster_domain: "cluster.local".into() },
            repair: false,
            may_write: Arc::new(move || asked.ask()),
            rate_limiter: WriteRateLimiter::new(NonZeroU32::MIN.saturating_add(99)),
        },
    );
    let tasks = [tokio::spawn(events.for_each(|_| async {})), tokio::spawn(controller.run(entries))];

    gate.reconciled().await;
    assert_eq!(slices(&api, &namespace).await, 0);
    gate.open.store(true, Ordering::SeqCst);
    until(&api, &namespace, 1).await;

    api.kubectl(&["delete", "crd", "serviceentries.networking.istio.io"], "").await;
    gate.reconciled().await;
    assert_eq!(slices(&api, &namespace).await, 1);
    // Now there is a CRD, and no such entry.
    api.install_crds(binaries).await;
    until(&api, &namespace, 0).await;
    tasks.iter().for_each(|task| task.abort());
}
