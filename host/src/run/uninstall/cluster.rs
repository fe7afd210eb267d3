//! The requests that this takes: lists by pages, and writes to the very state of an object that was seen.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Error as KubeError;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, Preconditions,
};
use serde_json::json;

use super::claims::Claims;
use super::leftover::Action;
use super::{Found, Leftover, Made, Object, Session, UninstallError};
use crate::annotation::SERVES;
use crate::dns::LABEL;
use crate::policy::{PolarisImport, other_finalizers};
use crate::title::title;

/// The longest time that a request may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Objects of one page.
const PAGE: u32 = 500;
/// On the shared state.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

impl Session<'_> {
    pub(super) async fn find(&self) -> Result<Found, UninstallError> {
        let mut found = Found::default();
        found.leftovers.extend(self.entries().await?);
        self.policies(&mut found).await;
        for object in [Object::EndpointSlice, Object::Service] {
            let all = self.list(object, &ListParams::default().labels(LABEL)).await?;
            found.leftovers.extend(all.into_iter().map(|metadata| Leftover::new(object, metadata, Action::Delete)));
        }
        let (state, lease) = (&self.uninstall.state, &self.uninstall.lease);
        let ours = |metadata: &ObjectMeta| {
            metadata.labels.as_ref().and_then(|all| all.get(MANAGED_BY)).is_some_and(|by| by == "polaris2istio")
        };
        self.single(Object::ConfigMap, state, ours, &mut found).await?;
        let ours = |metadata: &ObjectMeta| {
            metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(SERVES))
        };
        self.single(Object::Lease, lease, ours, &mut found).await?;
        Ok(found)
    }

    async fn entries(&self) -> Result<Vec<Leftover>, UninstallError> {
        if self.entry.is_none() {
            return Ok(Vec::new());
        }
        let strip = self.uninstall.strip;
        let all = self.list(Object::ServiceEntry, &ListParams::default()).await?;
        let leftovers = all.into_iter().filter_map(|metadata| {
            let claims = Claims::read(&metadata);
            let nothing = claims.fields.is_empty() && (!strip || claims.annotations.is_empty());
            let delete = claims.made && self.uninstall.made == Made::Delete;
            match (delete, nothing) {
                (true, _) => Some(Leftover::new(Object::ServiceEntry, metadata, Action::Delete)),
                (false, false) => Some(Leftover::new(Object::ServiceEntry, metadata, Action::GiveUp { claims, strip })),
                (false, true) => None,
            }
        });
        Ok(leftovers.collect())
    }

    /// One object by its name. Where it is not ours it is left alone, which is told.
    async fn single(
        &self,
        object: Object,
        (namespace, name): &(String, String),
        ours: impl Fn(&ObjectMeta) -> bool,
        found: &mut Found,
    ) -> Result<(), UninstallError> {
        let title = format!("{object} {}", title(namespace, name));
        match self.api(object, namespace).get_metadata_opt(name).await {
            Ok(None) => found
                .remarks
                .push(format!("{title}: there is none; if yours has another name, give it by --{}", flag(object))),
            Ok(Some(one)) if ours(&one.metadata) => {
                found.leftovers.push(Leftover::new(object, one.metadata, Action::Delete));
            }
            Ok(Some(_)) => found.remarks.push(format!("{title}: not written by polaris2istio, it stays")),
            Err(error) => return Err(UninstallError::Unreadable(title, error)),
        }
        Ok(())
    }

    /// Policies are the operator's, but for our finalizer.
    async fn policies(&self, found: &mut Found) {
        let policies = match self.list(Object::PolarisImport, &ListParams::default()).await {
            Ok(policies) => policies,
            // There is no such kind.
            Err(UninstallError::Unreadable(_, KubeError::Api(status))) if status.code == 404 => return,
            Err(error) => {
                found.remarks.push(format!("{error}; a policy with `onDelete: Prune` may have our finalizer still"));
                return;
            }
        };
        if !policies.is_empty() {
            found.remarks.push(format!(
                "{} PolarisImport in {}: yours, and carried out again by the next controller; kubectl delete crd polarisimports.polaris2istio.aeraki.net removes all",
                policies.len(),
                self.uninstall.namespace,
            ));
        }
        found.leftovers.extend(policies.into_iter().filter_map(|metadata| {
            let finalizers = metadata.finalizers.as_deref().unwrap_or_default();
            let others = other_finalizers(finalizers);
            let ours = others.len() < finalizers.len();
            ours.then(|| Leftover::new(Object::PolarisImport, metadata, Action::Release { others }))
        }));
    }

    async fn list(&self, object: Object, parameters: &ListParams) -> Result<Vec<ObjectMeta>, UninstallError> {
        let namespace = &self.uninstall.namespace;
        let api = self.api(object, namespace);
        let (mut all, mut parameters) = (Vec::new(), parameters.clone().limit(PAGE));
        loop {
            let page = api.list_metadata(&parameters).await;
            let page = page.map_err(|error| UninstallError::Unreadable(format!("{object} in {namespace}"), error))?;
            all.extend(page.items.into_iter().map(|one| one.metadata));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(all),
            }
        }
    }

    pub(super) async fn perform(&self, leftover: &Leftover) -> Result<(), String> {
        match tokio::time::timeout(TIMEOUT, self.send(leftover)).await {
            Ok(Ok(())) => Ok(()),
            // Somebody else was quicker.
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(()),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                Err("it changes all the time; a controller seems to run, stop it first".into())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {TIMEOUT:?}")),
        }
    }

    async fn send(&self, leftover: &Leftover) -> kube::Result<()> {
        let api = self.api(leftover.object, &leftover.namespace);
        let (uid, version) = (leftover.uid.clone(), leftover.resource_version.clone());
        let mut metadata = match &leftover.action {
            Action::Delete => {
                let state = Preconditions { uid: Some(uid), resource_version: Some(version) };
                let parameters = DeleteParams { preconditions: Some(state), ..DeleteParams::default() };
                return api.delete(&leftover.name, &parameters).await.map(drop);
            }
            Action::GiveUp { claims, strip } => claims.patch(*strip),
            Action::Release { others } => json!({ "finalizers": others }),
        };
        metadata["uid"] = json!(uid);
        metadata["resourceVersion"] = json!(version);
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        api.patch_metadata(&leftover.name, &PatchParams::default(), &patch).await.map(drop)
    }

    fn api(&self, object: Object, namespace: &str) -> Api<DynamicObject> {
        let resource = match (object, &self.entry) {
            (Object::ServiceEntry, Some(entry)) => entry.clone(),
            (Object::ServiceEntry, None) => crate::istio::ServiceEntry::resource(crate::istio::VERSIONS[0]),
            (Object::PolarisImport, _) => ApiResource::erase::<PolarisImport>(&()),
            (Object::Service, _) => ApiResource::erase::<Service>(&()),
            (Object::EndpointSlice, _) => ApiResource::erase::<EndpointSlice>(&()),
            (Object::Lease, _) => ApiResource::erase::<Lease>(&()),
            (Object::ConfigMap, _) => ApiResource::erase::<ConfigMap>(&()),
        };
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }
}

/// The flag that names an object.
fn flag(object: Object) -> &'static str {
    match object {
        Object::ConfigMap => "state",
        _ => "lease",
    }
}
