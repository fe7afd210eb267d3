//! The requests that policies make of an API server.

use std::time::Duration;

use futures::stream::BoxStream;
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};

use super::fields::POLICY_MANAGER;
use super::head::RawEntry;
use super::import::PolarisImport;
use super::plan::{Action, Step};
use super::status::ImportStatus;
use crate::istio::KIND;
use crate::kube_watch;
use crate::plan::ApplyError;
use crate::sink::classify;

/// The longest time that a request may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The entries and policies of one namespace.
pub struct Cluster {
    client: Client,
    namespace: String,
    entry: ApiResource,
}

impl Cluster {
    pub fn new(client: Client, namespace: String, entry: ApiResource) -> Self {
        Self { client, namespace, entry }
    }

    /// Follows the policies.
    pub fn policies(&self) -> BoxStream<'static, watcher::Result<Event<PolarisImport>>> {
        kube_watch::watch(Api::namespaced(self.client.clone(), &self.namespace), |config| config)
    }

    /// Follows all entries, whatever their labels.
    pub fn entries(&self) -> BoxStream<'static, watcher::Result<Event<RawEntry>>> {
        let api = Api::namespaced_with(self.client.clone(), &self.namespace, &self.entry);
        kube_watch::watch(api, |config| config)
    }

    pub async fn perform(&self, step: &Step) -> Result<(), ApplyError> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &self.entry);
        let send = async {
            match &step.action {
                // Without force: what another writes at the same time is his.
                Action::Create(body) => {
                    let parameters = PatchParams::apply(POLICY_MANAGER);
                    api.patch(&step.name, &parameters, &Patch::Apply(self.typed(body))).await.map(drop)
                }
                // Fields of others were left out; what is left is the policy's, or the controller's, which gives way.
                Action::Change(body) | Action::Mark(body) => {
                    let parameters = PatchParams::apply(POLICY_MANAGER).force();
                    api.patch(&step.name, &parameters, &Patch::Apply(self.typed(body))).await.map(drop)
                }
                Action::Delete { uid, resource_version } => {
                    let state =
                        Preconditions { uid: Some(uid.clone()), resource_version: Some(resource_version.clone()) };
                    let parameters = DeleteParams { preconditions: Some(state), ..DeleteParams::default() };
                    api.delete(&step.name, &parameters).await.map(drop)
                }
            }
        };
        in_time(send).await
    }

    fn typed(&self, body: &Value) -> Value {
        let mut body = body.clone();
        body["apiVersion"] = json!(self.entry.api_version);
        body["kind"] = json!(KIND);
        body
    }

    /// Writes a policy's status.
    pub async fn tell(&self, policy: &str, status: &ImportStatus) -> Result<(), ApplyError> {
        let api: Api<PolarisImport> = Api::namespaced(self.client.clone(), &self.namespace);
        let parameters = PatchParams { field_manager: Some(POLICY_MANAGER.into()), ..PatchParams::default() };
        // A merge patch takes away what is null, and replaces lists.
        let mut status = json!(status);
        if status.get("refusedServices").is_none() {
            status["refusedServices"] = Value::Null;
        }
        let patch = Patch::Merge(json!({"status": status}));
        in_time(async { api.patch_status(policy, &parameters, &patch).await.map(drop) }).await
    }
}

async fn in_time(request: impl Future<Output = Result<(), kube::Error>>) -> Result<(), ApplyError> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(done) => done.map_err(|error| classify(&error)),
        Err(_) => Err(ApplyError::Unavailable { detail: format!("no answer within {TIMEOUT:?}") }),
    }
}
