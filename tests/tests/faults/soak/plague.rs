//! The faults, one after the other.

use std::time::Duration;

use bytes::Bytes;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::DeleteParams;
use tokio::time::{Instant, sleep_until};

use super::super::deed::Deed;
use super::Soak;

/// How long one is held.
const HELD: Duration = Duration::from_secs(6);

/// A kind of fault.
#[derive(Clone, Copy)]
enum Fault {
    RegistryHangs,
    RegistryFails,
    RegistryCuts,
    RegistryKilled,
    RegistryEmpty,
    ApiFails,
    WatchesEnd,
    LeaderKilled,
    ReplicaFreezes,
    StateDeleted,
}

const ALL: [Fault; 10] = [
    Fault::RegistryHangs,
    Fault::LeaderKilled,
    Fault::RegistryFails,
    Fault::ApiFails,
    Fault::RegistryEmpty,
    Fault::StateDeleted,
    Fault::RegistryCuts,
    Fault::WatchesEnd,
    Fault::RegistryKilled,
    Fault::ReplicaFreezes,
];

/// The faults so far.
#[derive(Default)]
pub(super) struct Plague {
    next: usize,
    emptied: usize,
}

impl Plague {
    /// How often there was a reason for an alarm. A process that takes over from another tells of it as well.
    pub(super) fn reasons(&self) -> usize {
        self.emptied * 2
    }

    /// The next fault, from its beginning to its end.
    pub(super) async fn strike(&mut self, soak: &mut Soak) -> &'static str {
        let fault = ALL[self.next % ALL.len()];
        self.next += 1;
        let over = Instant::now() + HELD;
        match fault {
            Fault::RegistryHangs => registry(soak, Deed::Hang, over).await,
            Fault::RegistryFails => registry(soak, Deed::Reply(500, "application/json", Bytes::new()), over).await,
            Fault::RegistryCuts => registry(soak, Deed::Cut, over).await,
            Fault::RegistryKilled => {
                soak.polaris.kill();
                sleep_until(over).await;
                soak.polaris.start_again().await;
            }
            Fault::RegistryEmpty => {
                self.emptied += 1;
                soak.polaris.start_again_empty().await;
                sleep_until(over).await;
                soak.world.admin.register_all(&soak.churn.all(&soak.world)).await;
            }
            Fault::ApiFails => {
                soak.kube.all(Deed::refuse(500, "InternalError"));
                soak.kube.cut();
                soak.churn.run_until(over, &soak.world).await;
                soak.kube.clear();
            }
            Fault::WatchesEnd => soak.kube.cut(),
            Fault::LeaderKilled => {
                for replica in &mut soak.replicas {
                    if replica.said(&["this replica writes from now on"]) > 0 {
                        replica.process.kill();
                        replica.start_again();
                        break;
                    }
                }
            }
            Fault::ReplicaFreezes => {
                soak.replicas[0].process.signal("STOP");
                soak.churn.run_until(over, &soak.world).await;
                soak.replicas[0].process.signal("CONT");
            }
            Fault::StateDeleted => {
                let maps: Api<ConfigMap> = Api::namespaced(soak.world.client(), &soak.world.release.namespace);
                let _ = maps.delete("polaris2istio-state", &DeleteParams::default()).await;
            }
        }
        fault.name()
    }
}

async fn registry(soak: &mut Soak, deed: Deed, over: Instant) {
    soak.registry.all(deed);
    soak.churn.run_until(over, &soak.world).await;
    soak.registry.clear();
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::RegistryHangs => "registry hangs",
            Self::RegistryFails => "registry fails",
            Self::RegistryCuts => "registry cuts its answers",
            Self::RegistryKilled => "registry killed",
            Self::RegistryEmpty => "registry restarts empty",
            Self::ApiFails => "API server fails",
            Self::WatchesEnd => "all connections are cut",
            Self::LeaderKilled => "leader killed",
            Self::ReplicaFreezes => "replica freezes",
            Self::StateDeleted => "state deleted",
        }
    }
}
