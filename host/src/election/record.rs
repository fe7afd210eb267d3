//! The lease as an object of the API server, replaced only in the version that was read.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use crate::annotation::SERVES;

/// The content of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The holder; empty if the lease was released.
    pub(super) holder: String,
    /// The time that it lasts after a renewal.
    pub(super) duration: Duration,
    /// The time of the last renewal by the holder's clock; only a change of it counts.
    pub(super) renewed: String,
    /// The number of changes of its holder.
    pub(super) transitions: i32,
    /// The namespace of the entries that its holders serve, if they say so.
    pub(super) serves: Option<String>,
}

/// Reads a lease. One without a duration counts as one of a second: it blocks no one.
pub(super) fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(1);
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        duration: Duration::from_secs(seconds),
        renewed: spec.renew_time.map(|MicroTime(time)| time.to_string()).unwrap_or_default(),
        transitions: spec.lease_transitions.unwrap_or_default(),
        serves: lease.metadata.annotations.as_ref().and_then(|all| all.get(SERVES).cloned()),
    }
}

/// One lease of one namespace.
pub(super) struct Leases {
    pub(super) api: Api<Lease>,
    pub(super) name: String,
    /// The namespace whose entries are served.
    pub(super) serves: String,
}

impl Leases {
    pub(super) async fn get(&self) -> kube::Result<Option<Lease>> {
        self.api.get_opt(&self.name).await
    }

    /// Writes a holder into the lease that was read. `None` if another replica was quicker.
    pub(super) async fn write(
        &self,
        read: Option<&Lease>,
        holder: &str,
        duration: Duration,
    ) -> kube::Result<Option<Lease>> {
        let lease = self.next(read, holder, duration);
        let written = match read {
            None => self.api.create(&PostParams::default(), &lease).await,
            Some(_) => self.api.replace(&self.name, &PostParams::default(), &lease).await,
        };
        match written {
            Ok(lease) => Ok(Some(lease)),
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn next(&self, read: Option<&Lease>, holder: &str, duration: Duration) -> Lease {
        let now = jiff::Timestamp::now();
        let before = read.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let same = before.holder_identity.as_deref() == Some(holder);
        let changes = if same || holder.is_empty() { 0 } else { i32::from(read.is_some()) };
        let spec = LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: i32::try_from(duration.as_secs()).ok(),
            acquire_time: if same { before.acquire_time } else { Some(MicroTime(now)) },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(before.lease_transitions.unwrap_or_default() + changes),
            ..before
        };
        let mut metadata = match read {
            Some(lease) => lease.metadata.clone(),
            None => ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
        };
        metadata.annotations.get_or_insert_default().insert(SERVES.into(), self.serves.clone());
        Lease { metadata, spec: Some(spec) }
    }
}
