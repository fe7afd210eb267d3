//! Arranges things in a Polaris server, as its console and its instances do.

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{Answer, Instance};
use crate::http_client::{PATIENCE, http_client};
use crate::poll::wait_for;

/// The most instances that the server accepts at once.
const BATCH: usize = 100;

/// Already so, or already there: as good as done.
const DONE: [u64; 3] = [200_000, 200_002, 400_201];

/// A client with all rights. Every method panics when the server refuses,
/// since then the test could not be arranged.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
    url: String,
    token: String,
}

impl Admin {
    /// A client of the server at `address`, a host and port.
    pub(super) fn new(address: &str, token: &str) -> Self {
        Self { client: http_client(), url: format!("http://{address}"), token: token.into() }
    }

    /// The same client with another token, for tests of what is refused.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.into(), ..self.clone() }
    }

    /// Registers an instance, or replaces it, as the instance itself would.
    /// Namespace and service come into being as needed.
    pub async fn register(&self, instance: &Instance) {
        self.done(Method::POST, "/v1/RegisterInstance", instance.body()).await;
    }

    /// Registers any number of instances, in a few requests.
    pub async fn register_all(&self, instances: &[Instance]) {
        for batch in instances.chunks(BATCH) {
            let batch = batch.iter().map(Instance::body).collect();
            self.done(Method::POST, "/naming/v1/instances", batch).await;
        }
    }

    /// Removes an instance, as the instance itself would.
    pub async fn deregister(&self, instance: &Instance) {
        self.done(Method::POST, "/v1/DeregisterInstance", instance.key()).await;
    }

    /// Removes any number of instances, in a few requests, as an operator does
    /// in the console.
    pub async fn deregister_all(&self, instances: &[Instance]) {
        for batch in instances.chunks(BATCH) {
            let batch = batch.iter().map(Instance::key).collect();
            self.done(Method::POST, "/naming/v1/instances/delete", batch).await;
        }
    }

    /// Sends an instance's heartbeat, until it is taken: the server knows an
    /// instance only some moments after it has acknowledged it.
    pub async fn heartbeat(&self, instance: &Instance) {
        wait_for("the heartbeat is taken", PATIENCE, || async {
            let answer = self.send(Method::POST, "/v1/Heartbeat", instance.key()).await;
            match answer["code"].as_u64() {
                Some(200_000) => Ok(()),
                _ => Err(answer),
            }
        })
        .await;
    }

    /// Changes what is set on the instance (weight, isolate, healthy,
    /// metadata and so on), as an operator does in the console; the rest stays.
    pub async fn update(&self, instance: &Instance) {
        self.done(Method::PUT, "/naming/v1/instances", json!([instance.body()])).await;
    }

    /// Makes a service without instances (and its namespace).
    pub async fn create_service(&self, namespace: &str, service: &str) {
        let body = json!([{"namespace": namespace, "name": service}]);
        self.done(Method::POST, "/naming/v1/services", body).await;
    }

    /// Sets a service's metadata, as an operator does in the console.
    pub async fn set_service_metadata(&self, namespace: &str, service: &str, key: &str, value: &str) {
        let body = json!([{"namespace": namespace, "name": service, "metadata": {key: value}}]);
        self.done(Method::PUT, "/naming/v1/services", body).await;
    }

    /// Removes a service, whose instances must be gone.
    pub async fn delete_service(&self, namespace: &str, service: &str) {
        let body = json!([{"namespace": namespace, "name": service}]);
        self.done(Method::POST, "/naming/v1/services/delete", body).await;
    }

    /// Makes `alias` another name of a service of the same namespace.
    pub async fn create_alias(&self, namespace: &str, service: &str, alias: &str) {
        let body = json!({
            "namespace": namespace,
            "service": service,
            "alias_namespace": namespace,
            "alias": alias,
            "type": "DEFAULT",
            "owners": "polaris",
        });
        self.done(Method::POST, "/naming/v1/service/alias", body).await;
    }

    /// Asks for a service as a client does, without a revision.
    pub async fn discover(&self, namespace: &str, service: &str) -> Answer {
        self.discover_since(namespace, service, "").await
    }

    /// Asks for a service as a client does that has seen `revision`.
    pub async fn discover_since(&self, namespace: &str, service: &str, revision: &str) -> Answer {
        let service = json!({"namespace": namespace, "name": service, "revision": revision});
        let body = json!({"type": "INSTANCE", "service": service});
        Answer(self.send(Method::POST, "/v1/Discover", body).await)
    }

    /// Makes the server look into its store at once rather than at its next
    /// tick, so that clients see now what has been done before.
    pub async fn pull(&self, namespace: &str) {
        let path = format!("/naming/v1/instances?namespace={namespace}&offset=0&limit=1");
        self.done(Method::GET, &path, Value::Null).await;
    }

    async fn done(&self, method: Method, path: &str, body: Value) {
        let answer = self.send(method, path, body).await;
        // A batch has an answer for each, and as a whole the last that failed.
        let each = answer["responses"].as_array().cloned().unwrap_or_default();
        for part in std::iter::once(&answer).chain(&each) {
            let code = part["code"].as_u64().unwrap_or_default();
            assert!(DONE.contains(&code), "{path}: {code} {}", part["info"]);
        }
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Value {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .header("X-Polaris-Token", &self.token)
            .header("Content-Type", "application/json");
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = async { request.send().await?.text().await };
        let answer = answer.await.unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }
}
