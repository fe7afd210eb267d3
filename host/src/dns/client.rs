//! The requests for names to the API server, and the meaning of its refusals.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};

use super::objects::LABEL;
use super::plan::{Action, Kind, Step};
use crate::entries::are_ours;
use crate::istio::{GROUP, MANAGER, PLURAL};
use crate::kube_watch;

/// The longest time that a request may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The Services, slices and entries of one namespace.
pub(super) struct Cluster {
    client: Client,
    namespace: String,
    entry: ApiResource,
}

/// The reasons why a step was not performed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// An object of that name exists and is not ours.
    #[error("there is one already that is not ours, and it is left alone; remove it, or give the entry another host")]
    Foreign,
    /// It changed meanwhile; the watch brings its new state.
    #[error("it changed meanwhile")]
    Stale,
    /// This identity may not do it.
    #[error("forbidden: {0}; {REMEDY}")]
    Forbidden(String),
    #[error("{0}; it is tried again")]
    Failed(String),
}

/// The rights that `--dns` needs beyond those for entries.
pub(super) const REMEDY: &str = "grant this identity the verbs get, list, watch, create, patch and delete on services and on endpointslices.discovery.k8s.io in the entries' namespace";

impl Kind {
    fn resource(self) -> ApiResource {
        match self {
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::Slice => ApiResource::erase::<EndpointSlice>(&()),
        }
    }
}

impl Cluster {
    pub(super) fn new(client: Client, namespace: String, entry: ApiResource) -> Self {
        Self { client, namespace, entry }
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource())
    }

    /// Follows the objects of a kind that carry our label.
    pub(super) fn follow(&self, kind: Kind) -> BoxStream<'static, watcher::Result<watcher::Event<DynamicObject>>> {
        let api = Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource());
        kube_watch::watch(api, |config| config.labels(LABEL))
    }

    pub(super) async fn perform(&self, step: &Step) -> Result<(), Trouble> {
        match tokio::time::timeout(TIMEOUT, self.send(step)).await {
            Ok(done) => done,
            Err(_) => Err(Trouble::Failed(format!("no answer within {TIMEOUT:?}"))),
        }
    }

    async fn send(&self, step: &Step) -> Result<(), Trouble> {
        let api = self.api(step.kind);
        let done = match &step.action {
            Action::Create(body) => {
                let parameters = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
                let object =
                    serde_json::from_value(body.clone()).map_err(|error| Trouble::Failed(error.to_string()))?;
                match api.create(&parameters, &object).await {
                    Err(kube::Error::Api(status)) if status.code == 409 => return self.whose(&api, &step.name).await,
                    done => done.map(drop),
                }
            }
            Action::Apply(body) => {
                let parameters = PatchParams::apply(MANAGER).force();
                api.patch(&step.name, &parameters, &Patch::Apply(body)).await.map(drop)
            }
            Action::Delete { uid, resource_version } => {
                let state = Preconditions { uid: Some(uid.clone()), resource_version: Some(resource_version.clone()) };
                let parameters = DeleteParams { preconditions: Some(state), ..DeleteParams::default() };
                api.delete(&step.name, &parameters).await.map(drop)
            }
        };
        done.map_err(|error| classify(&error))
    }

    /// Tells whose the existing object is: it may be one of ours that the watch has not shown yet.
    async fn whose(&self, api: &Api<DynamicObject>, name: &str) -> Result<(), Trouble> {
        match api.get_metadata_opt(name).await {
            Ok(Some(object)) if !object.labels().contains_key(LABEL) => Err(Trouble::Foreign),
            Ok(_) => Err(Trouble::Stale),
            Err(error) => Err(classify(&error)),
        }
    }

    /// The uids of all entries that exist, and whether they carry our labels. An entry that a watch no longer shows may exist
    /// all the same, since the watch says "deleted" of a lost label too. While their CRD is being deleted, all entries go, which
    /// is no reason to remove the names of a whole mesh.
    pub(super) async fn entries(&self) -> Result<BTreeMap<String, bool>, Unlisted> {
        if !kube_watch::is_kept(&self.client, &self.entry.api_version, &self.entry.plural).await? {
            return Err(Unlisted::Going);
        }
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &self.entry);
        let list = api.list_metadata(&ListParams::default()).await?;
        let entries = list.items.into_iter();
        Ok(entries.filter_map(|entry| Some((entry.uid()?, are_ours(entry.labels())))).collect())
    }

    /// Sets `status.addresses` of an entry to null, in this state of it alone.
    pub(super) async fn reset_addresses(&self, name: &str, resource_version: &str) -> Result<(), kube::Error> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &self.entry);
        let patch = serde_json::json!({
            "metadata": {"resourceVersion": resource_version},
            "status": {"addresses": null},
        });
        let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        api.patch_status(name, &parameters, &Patch::Merge(&patch)).await.map(drop)
    }
}

/// The reasons why the entries cannot be listed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unlisted {
    /// Their CRD is being deleted.
    #[error("the CRD {PLURAL}.{GROUP} is being deleted, or gone: install Istio's CRDs")]
    Going,
    /// The API server did not answer, or not as it should.
    #[error(transparent)]
    Kube(#[from] kube::Error),
}

fn classify(error: &kube::Error) -> Trouble {
    match error {
        kube::Error::Api(status) => match status.code {
            404 | 409 => Trouble::Stale,
            // An object that was deleted and created anew has another uid, which cannot be changed.
            422 if status.message.contains("metadata.uid") => Trouble::Stale,
            401 | 403 => Trouble::Forbidden(status.message.clone()),
            code => Trouble::Failed(format!("{} ({code})", status.message)),
        },
        error => Trouble::Failed(error.to_string()),
    }
}
