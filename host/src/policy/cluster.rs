//! The requests that policies make of an API server.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource};
use serde_json::{Value, json};

use super::fields::POLICY_MANAGER;
use super::head::{Head, RawEntry};
use super::import::PolarisImport;
use super::plan::{Action, Step};
use super::policy::Policy;
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
    pub fn policies(&self) -> BoxStream<'static, watcher::Result<Event<Policy>>> {
        let api = Api::namespaced(self.client.clone(), &self.namespace);
        let events = kube_watch::watch(api, |config| config);
        events.map_ok(|event| kube_watch::map_event(event, |object| Policy::new(&object))).boxed()
    }

    /// Follows all entries, whatever their labels.
    pub fn entries(&self) -> BoxStream<'static, watcher::Result<Event<Head>>> {
        let api = Api::namespaced_with(self.client.clone(), &self.namespace, &self.entry);
        let events = kube_watch::watch(api, |config| config);
        events.map_ok(|event| kube_watch::map_event(event, |entry: RawEntry| Head::new(&entry))).boxed()
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

    /// Gives this policy our finalizer, or takes it away; others stay.
    pub async fn keep(&self, policy: &Policy, keep: bool) -> Result<(), ApplyError> {
        let api: Api<PolarisImport> = Api::namespaced(self.client.clone(), &self.namespace);
        let parameters = PatchParams { field_manager: Some(POLICY_MANAGER.into()), ..PatchParams::default() };
        // A merge patch replaces the whole list, so it is about this state of the policy alone.
        let metadata = json!({
            "uid": policy.uid, "resourceVersion": policy.resource_version, "finalizers": policy.finalizers(keep),
        });
        let patch = Patch::Merge(json!({"metadata": metadata}));
        match in_time(async { api.patch(&policy.name, &parameters, &patch).await.map(drop) }).await {
            // There is nothing left to let go.
            Err(ApplyError::Gone) => Ok(()),
            done => done,
        }
    }

    /// Whether the API server goes on having policies.
    pub async fn has_kind(&self) -> Result<bool, ApplyError> {
        let version = PolarisImport::api_version(&());
        let plural = PolarisImport::plural(&());
        in_time(kube_watch::is_kept(&self.client, &version, &plural)).await
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

async fn in_time<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ApplyError> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(done) => done.map_err(|error| classify(&error)),
        Err(_) => Err(ApplyError::Unavailable { detail: format!("no answer within {TIMEOUT:?}") }),
    }
}
