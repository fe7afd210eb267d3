//! A namespace of a test's own in both servers, and what operators and instances do there.

use std::process::ExitStatus;
use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use polaris2istio_tests::servers::{self, Admin, ApiServer, Instance, Polaris, Release, Write};
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::SOON;
use super::controller::Start;
use super::entry::{Entry, addresses};

/// The servers and namespaces that a test has to itself.
pub(crate) struct World {
    /// The namespace's name, in both servers.
    pub(crate) namespace: String,
    /// Arranges things in Polaris.
    pub(crate) admin: Admin,
    /// An administrator's view of the entries.
    pub(crate) entries: Api<DynamicObject>,
    /// Where Polaris is.
    pub(crate) polaris: String,
    /// The controller as installed for this namespace: it has the rights that the shipped manifests give, and no others.
    pub(crate) release: Release,
}

impl World {
    /// One in the shared servers; `None` if these are not built.
    pub(crate) async fn shared(name: &str) -> Option<(Self, &'static ApiServer)> {
        let servers = servers::shared().await?;
        Some((Self::new(&servers.api, &servers.polaris, name).await, &servers.api))
    }

    /// One in these servers.
    pub(crate) async fn new(api: &ApiServer, polaris: &Polaris, name: &str) -> Self {
        let namespace = api.create_namespace(name).await;
        let binaries = servers::binaries().unwrap();
        Self {
            entries: api.service_entries(&namespace).await,
            admin: polaris.admin(),
            polaris: polaris.http_address(),
            release: Release::install(api, binaries, &namespace).await,
            namespace,
        }
    }

    /// An administrator's client.
    pub(crate) fn client(&self) -> kube::Client {
        self.entries.clone().into_client()
    }

    /// A controller for this namespace, to be started.
    pub(crate) fn controller(&self) -> Start {
        Start::new(&self.release, &self.polaris, &self.namespace)
    }

    /// An entry that is bound to the service of its name.
    pub(crate) fn entry(&self, name: &str) -> Entry {
        Entry::new(&self.namespace, name)
    }

    /// An HTTP instance on port 8080.
    pub(crate) fn instance(&self, service: &str, host: &str) -> Instance {
        Instance::new(&self.namespace, service, host, 8080).protocol("http")
    }

    /// Registers such instances, and waits until Polaris's clients see them.
    pub(crate) async fn register(&self, service: &str, hosts: &[&str]) {
        for host in hosts {
            self.admin.register(&self.instance(service, host)).await;
        }
        self.until_discovered(service, |listed| hosts.iter().all(|host| listed.contains(host))).await;
    }

    /// Deregisters them at once, and waits until Polaris's clients see none of them.
    pub(crate) async fn deregister(&self, service: &str, hosts: &[&str]) {
        let instances: Vec<_> = hosts.iter().map(|host| self.instance(service, host)).collect();
        self.admin.deregister_all(&instances).await;
        self.until_discovered(service, |listed| hosts.iter().all(|host| !listed.contains(host))).await;
    }

    /// Polaris knows a new service only some moments after its instances, and answers until then that there is none.
    async fn until_discovered(&self, service: &str, fits: impl Fn(&[&str]) -> bool) {
        self.admin.pull(&self.namespace).await;
        wait_for("Discover shows what was registered", SOON, || async {
            let answer = self.admin.discover(&self.namespace, service).await;
            if fits(&answer.hosts()) { Ok(()) } else { Err(answer.0) }
        })
        .await;
    }

    /// Makes an entry, as a program of the operator's would.
    pub(crate) async fn create(&self, entry: &Entry) {
        let object = serde_json::from_value(entry.0.clone()).unwrap();
        self.entries.create(&PostParams::default(), &object).await.unwrap();
    }

    /// Changes an entry by a JSON merge patch, as another field manager.
    pub(crate) async fn patch(&self, name: &str, manager: &str, patch: &Value) {
        let parameters = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
        self.entries.patch(name, &parameters, &Patch::Merge(patch)).await.unwrap();
    }

    /// Writes an entry's status, as istiod does.
    pub(crate) async fn patch_status(&self, name: &str, status: &Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.entries.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Deletes an entry.
    pub(crate) async fn delete(&self, name: &str) {
        let _ = self.entries.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// An entry as it is now, if it is.
    pub(crate) async fn get(&self, name: &str) -> Option<Value> {
        let entry = self.entries.get_opt(name).await.unwrap()?;
        Some(serde_json::to_value(entry).unwrap())
    }

    /// Waits until an entry is as it should be, and returns it.
    pub(crate) async fn until(&self, what: &str, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, SOON, || async {
            let entry = self.get(name).await.unwrap_or_default();
            if fits(&entry) { Ok(entry) } else { Err(entry) }
        })
        .await
    }

    /// Waits until an entry has endpoints at exactly these addresses, in this order, and returns it.
    pub(crate) async fn endpoints(&self, name: &str, expected: &[&str]) -> Value {
        let what = format!("{}/{name} has the endpoints {expected:?}", self.namespace);
        self.until(&what, name, |entry| !entry.is_null() && addresses(entry) == expected).await
    }
}

/// The writes of the controller to a namespace that the API server took.
pub(crate) async fn writes(api: &ApiServer, namespace: &str) -> Vec<Write> {
    let all = api.writes(namespace).await;
    all.into_iter().filter(|write| by_controller(write) && write.code == 200).collect()
}

/// Whether the controller sent a write.
pub(crate) fn by_controller(write: &Write) -> bool {
    write.uri.contains("fieldManager=polaris2istio")
}

/// Checks that a process ended in good order, and in time.
pub(crate) fn check_clean(status: ExitStatus, took: Duration) {
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "it took {took:?}");
}

/// Gives kubectl an entry to read.
pub(crate) async fn kubectl(api: &ApiServer, arguments: &[&str], entry: &Entry) -> String {
    api.kubectl(arguments, &entry.0.to_string()).await
}
