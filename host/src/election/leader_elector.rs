//! The loop that reads the lease, acquires and renews it, and tells the process whether it may write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Api, Client};
use tokio::sync::{Mutex, watch};
use tracing::{error, info, warn};

use super::record::{Leases, record};
use super::rules::{Step, Watched, usable};
use crate::clock;
use crate::log_once::LogOnce;
use crate::title::title;
use crate::writes::{BlockReason, Gate};

/// The renewals of the holder within a lease's time. Every write is cut off at the end of the lease, so it should be full.
const RENEWALS: u32 = 8;
/// The checks of the others within a lease's time: a released lease is found within one of these.
const CHECKS: u32 = 20;
/// The longest wait of a stop for the release.
const RELEASE_WITHIN: Duration = Duration::from_millis(1500);

/// The lease, and this replica's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionConfig {
    pub namespace: String,
    pub name: String,
    /// This process's name among the replicas.
    pub identity: String,
    /// The namespace whose entries the replicas serve.
    pub serves: String,
    /// The longest time without a writer after a leader disappears without releasing the lease. Whole seconds, two at least.
    pub duration: Duration,
}

/// The calls that a process gets when it begins to lead, and when it ceases to.
pub trait LeaderCallbacks: Send + Sync + 'static {
    /// The process leads from now on. Called before writes are unblocked.
    fn lead(&self) -> impl Future<Output = ()> + Send;
    /// The process leads no more. Called after writes are blocked.
    fn stand_by(&self);
}

/// A replica's part in the election.
pub struct LeaderElector {
    config: ElectionConfig,
    leases: Leases,
    gate: Arc<Gate>,
    leads: watch::Sender<bool>,
    holder: watch::Sender<String>,
    lease_state: Mutex<LeaseState>,
}

#[derive(Default)]
struct LeaseState {
    watched: Watched,
    /// The lease as it was last read or written.
    lease: Option<Lease>,
    /// The time until which it is surely ours.
    until: Option<Instant>,
    log: LogOnce,
}

impl LeaderElector {
    /// A replica on standby: writes are blocked until it leads. `leads` is told when that changes.
    pub fn new(client: Client, config: ElectionConfig, gate: Arc<Gate>, leads: watch::Sender<bool>) -> Self {
        gate.block(BlockReason::Standby);
        leads.send_replace(false);
        let leases = Leases {
            api: Api::namespaced(client, &config.namespace),
            name: config.name.clone(),
            serves: config.serves.clone(),
        };
        Self { config, leases, gate, leads, holder: watch::Sender::default(), lease_state: Mutex::default() }
    }

    /// This process's name among the replicas.
    pub fn identity(&self) -> &str {
        &self.config.identity
    }

    /// The Lease, for what is told of all replicas.
    pub async fn lease(&self) -> ObjectReference {
        let known = self.lease_state.lock().await;
        let uid = known.lease.as_ref().and_then(|lease| lease.metadata.uid.clone());
        ObjectReference {
            api_version: Some("coordination.k8s.io/v1".into()),
            kind: Some("Lease".into()),
            namespace: Some(self.config.namespace.clone()),
            name: Some(self.config.name.clone()),
            uid,
            ..ObjectReference::default()
        }
    }

    /// The holder of the lease, as far as is known; empty if there is none.
    pub fn holder(&self) -> watch::Receiver<String> {
        self.holder.subscribe()
    }

    /// Runs until the future is dropped.
    pub async fn run(&self, callbacks: &impl LeaderCallbacks) {
        loop {
            let leads = self.run_once(callbacks).await;
            let pause = self.config.duration / if leads { RENEWALS } else { CHECKS };
            tokio::time::sleep(pause).await;
        }
    }

    /// Releases the lease, so that another replica need not wait for its end. To be called when no write is under way.
    pub async fn release(&self) {
        self.gate.block(BlockReason::Standby);
        self.leads.send_replace(false);
        let release = async {
            let mut lease_state = self.lease_state.lock().await;
            if lease_state.until.take().is_none() {
                return Ok(());
            }
            for _ in 0..2 {
                if lease_state.lease.is_none() {
                    lease_state.lease = self.leases.get().await?;
                }
                let ours = |lease: &&Lease| record(lease).holder == self.config.identity;
                let Some(lease) = lease_state.lease.as_ref().filter(ours) else { return Ok(()) };
                if self.leases.write(Some(lease), "", Duration::from_secs(1)).await?.is_some() {
                    info!("lease released");
                    return Ok(());
                }
                // A renewal that was cut off had arrived all the same.
                lease_state.lease = None;
            }
            Ok::<_, kube::Error>(())
        };
        match tokio::time::timeout(RELEASE_WITHIN, release).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("lease not released, it lapses by itself: {error}"),
            Err(_) => warn!("lease not released within {RELEASE_WITHIN:?}, it lapses by itself"),
        }
    }

    /// Checks the lease once. Returns whether this process leads.
    async fn run_once(&self, callbacks: &impl LeaderCallbacks) -> bool {
        let mut lease_state = self.lease_state.lock().await;
        // A request that hangs must not keep the end of the lease from being noticed.
        let result = tokio::time::timeout(self.config.duration / 3, self.acquire_or_renew(&mut lease_state)).await;
        let problem = match result {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(self.explain(&error)),
            Err(_) => Some(format!("no answer within {:?}", self.config.duration / 3)),
        };
        match problem {
            Some(problem) if lease_state.log.is_news("lease", &problem) => {
                error!(lease = self.title(), "the lease cannot be used, without it nothing is written: {problem}");
            }
            None if lease_state.log.clear() => info!("the lease can be used again"),
            _ => {}
        }
        self.apply(lease_state.until, callbacks).await
    }

    async fn acquire_or_renew(&self, lease_state: &mut LeaseState) -> kube::Result<()> {
        for _ in 0..2 {
            // The holder knows the lease as it wrote it. A conflict tells it if another one wrote meanwhile.
            if lease_state.until.is_none() || lease_state.lease.is_none() {
                lease_state.lease = self.leases.get().await?;
            }
            let now = clock::now();
            let shown = lease_state.lease.as_ref().map(record);
            let step = lease_state.watched.step(shown.as_ref(), &self.config.identity, now);
            let serves = shown.as_ref().and_then(|record| record.serves.clone());
            self.set_holder(shown.map(|record| record.holder).unwrap_or_default(), serves);
            if step == Step::Wait {
                lease_state.until = None;
                return Ok(());
            }
            let lease = lease_state.lease.take();
            // If this is cut off, it may have arrived or not: then the lease is read again.
            lease_state.lease = self.leases.write(lease.as_ref(), &self.config.identity, self.config.duration).await?;
            if lease_state.lease.is_some() {
                self.set_holder(self.config.identity.clone(), None);
                lease_state.until = Some(now + usable(self.config.duration));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Unblocks writes until then, or blocks them, and calls the callbacks.
    async fn apply(&self, until: Option<Instant>, callbacks: &impl LeaderCallbacks) -> bool {
        let now = clock::now();
        let led = *self.leads.borrow();
        match until.filter(|until| *until > now) {
            // A gap, however short, makes it another term: another replica may have written in it.
            Some(until) if led && self.gate.reasons(now).contains(&BlockReason::Standby) => {
                self.lose(callbacks);
                self.win(until, callbacks).await;
                true
            }
            Some(until) if led => {
                self.gate.unblock_until(BlockReason::Standby, until);
                true
            }
            Some(until) => {
                self.win(until, callbacks).await;
                true
            }
            None => {
                if led {
                    self.lose(callbacks);
                }
                false
            }
        }
    }

    async fn win(&self, until: Instant, callbacks: &impl LeaderCallbacks) {
        callbacks.lead().await;
        self.gate.unblock_until(BlockReason::Standby, until);
        self.leads.send_replace(true);
        info!(lease = self.title(), identity = self.config.identity, "this replica writes from now on");
    }

    fn lose(&self, callbacks: &impl LeaderCallbacks) {
        self.gate.block(BlockReason::Standby);
        self.leads.send_replace(false);
        callbacks.stand_by();
        warn!(lease = self.title(), identity = self.config.identity, "the lease is lost, this replica writes no more");
    }

    fn set_holder(&self, holder: String, serves: Option<String>) {
        let changed = self.holder.send_if_modified(|known| {
            let changed = *known != holder;
            known.clone_from(&holder);
            changed
        });
        if changed && serves.as_ref().is_some_and(|serves| *serves != self.config.serves) {
            error!(
                lease = self.title(),
                leader = holder,
                "this lease is that of replicas that serve the namespace {}, so nobody writes in {}; give one of the two another --lease",
                serves.unwrap_or_default(),
                self.config.serves
            );
        }
        if changed && !holder.is_empty() && holder != self.config.identity {
            info!(lease = self.title(), leader = holder, "another replica writes, this one stands by");
        }
    }

    fn explain(&self, error: &kube::Error) -> String {
        match error {
            kube::Error::Api(status) if [401, 403].contains(&status.code) => format!(
                "{}; grant get, create and update on leases.coordination.k8s.io by a Role in the namespace {}, or run one replica with --leader-election=false",
                status.message, self.config.namespace
            ),
            kube::Error::Api(status) if status.code == 404 => {
                format!("{}; name a namespace that exists by --lease", status.message)
            }
            error => error.to_string(),
        }
    }

    fn title(&self) -> String {
        title(&self.config.namespace, &self.config.name)
    }
}
