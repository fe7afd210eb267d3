//! The loop that looks at the lease, takes and renews it, and tells the process what it may do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::sync::{Mutex, watch};
use tracing::{error, info, warn};

use super::record::{Leases, record};
use super::rules::{Step, Watched, usable};
use crate::log_once::LogOnce;
use crate::title::title;
use crate::writes::{BlockReason, Gate};

/// The holder renews this often within a lease's time; every write is cut off where the lease ends, so it should be full.
const RENEWALS: u32 = 8;
/// The others look this often within a lease's time: a lease that was released is found within one of these.
const LOOKS: u32 = 20;
/// How long a stop waits for the release.
const RELEASE_WITHIN: Duration = Duration::from_millis(1500);

/// Which lease, and who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionConfig {
    /// The lease's namespace.
    pub namespace: String,
    /// The lease's name.
    pub name: String,
    /// This process's name among the replicas.
    pub identity: String,
    /// The namespace whose entries the replicas serve.
    pub serves: String,
    /// How long nobody writes, at most, when a leader is gone without a word. Whole seconds, two at least.
    pub duration: Duration,
}

/// What becomes of a process that leads, or does not any more.
pub trait LeaderCallbacks: Send + Sync + 'static {
    /// It leads from now on; called before the gate opens.
    fn lead(&self);
    /// It does not any more; called after the gate was shut.
    fn stand_by(&self);
}

/// A replica's part in the election.
pub struct LeaderElector {
    config: ElectionConfig,
    leases: Leases,
    gate: Arc<Gate>,
    leads: watch::Sender<bool>,
    holder: watch::Sender<String>,
    standing: Mutex<LeaseState>,
}

#[derive(Default)]
struct LeaseState {
    watched: Watched,
    /// The lease as it was last read or written.
    lease: Option<Lease>,
    /// Until when it is surely ours.
    until: Option<Instant>,
    log: LogOnce,
}

impl LeaderElector {
    /// A replica that stands by: the gate is shut until it leads. `leads` is told when that changes.
    pub fn new(client: Client, config: ElectionConfig, gate: Arc<Gate>, leads: watch::Sender<bool>) -> Self {
        gate.block(BlockReason::Standby);
        leads.send_replace(false);
        let leases = Leases {
            api: Api::namespaced(client, &config.namespace),
            name: config.name.clone(),
            serves: config.serves.clone(),
        };
        Self { config, leases, gate, leads, holder: watch::Sender::default(), standing: Mutex::default() }
    }

    /// This process's name among the replicas.
    pub fn identity(&self) -> &str {
        &self.config.identity
    }

    /// Who holds the lease, as far as is known; empty where nobody does.
    pub fn holder(&self) -> watch::Receiver<String> {
        self.holder.subscribe()
    }

    /// Runs until the future is dropped.
    pub async fn run(&self, duties: &impl LeaderCallbacks) {
        loop {
            let leads = self.turn(duties).await;
            let pause = self.config.duration / if leads { RENEWALS } else { LOOKS };
            tokio::time::sleep(pause).await;
        }
    }

    /// Gives the lease back, so that another one need not wait for its end. To be called when no write is under way.
    pub async fn release(&self) {
        self.gate.block(BlockReason::Standby);
        self.leads.send_replace(false);
        let release = async {
            let mut standing = self.standing.lock().await;
            if standing.until.take().is_none() {
                return Ok(());
            }
            for _ in 0..2 {
                if standing.lease.is_none() {
                    standing.lease = self.leases.get().await?;
                }
                let ours = |lease: &&Lease| record(lease).holder == self.config.identity;
                let Some(lease) = standing.lease.as_ref().filter(ours) else { return Ok(()) };
                if self.leases.write(Some(lease), "", Duration::from_secs(1)).await?.is_some() {
                    info!("the lease is given back");
                    return Ok(());
                }
                // A renewal that was cut off arrived all the same.
                standing.lease = None;
            }
            Ok::<_, kube::Error>(())
        };
        match tokio::time::timeout(RELEASE_WITHIN, release).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("the lease could not be given back, it lapses by itself: {error}"),
            Err(_) => warn!("the lease could not be given back within {RELEASE_WITHIN:?}, it lapses by itself"),
        }
    }

    /// One look. Returns whether this process leads.
    async fn turn(&self, duties: &impl LeaderCallbacks) -> bool {
        let mut standing = self.standing.lock().await;
        // A request that hangs must not keep the end of the lease from being noticed.
        let result = tokio::time::timeout(self.config.duration / 3, self.look(&mut standing)).await;
        let problem = match result {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(self.explain(&error)),
            Err(_) => Some(format!("no answer within {:?}", self.config.duration / 3)),
        };
        match problem {
            Some(problem) if standing.log.is_news("lease", &problem) => {
                error!(lease = self.title(), "the lease cannot be used, without it nothing is written: {problem}");
            }
            None if standing.log.clear() => info!("the lease can be used again"),
            _ => {}
        }
        self.act(standing.until, duties)
    }

    async fn look(&self, standing: &mut LeaseState) -> kube::Result<()> {
        for _ in 0..2 {
            // The holder knows the lease as it wrote it, and notices by a conflict where that is not so.
            if standing.until.is_none() || standing.lease.is_none() {
                standing.lease = self.leases.get().await?;
            }
            let now = Instant::now();
            let shown = standing.lease.as_ref().map(record);
            let step = standing.watched.step(shown.as_ref(), &self.config.identity, now);
            let serves = shown.as_ref().and_then(|record| record.serves.clone());
            self.know(shown.map(|record| record.holder).unwrap_or_default(), serves);
            if step == Step::Wait {
                standing.until = None;
                return Ok(());
            }
            let lease = standing.lease.take();
            // Should this be cut off, it may have arrived or not: then the lease is read again.
            standing.lease = self.leases.write(lease.as_ref(), &self.config.identity, self.config.duration).await?;
            if standing.lease.is_some() {
                self.know(self.config.identity.clone(), None);
                standing.until = Some(now + usable(self.config.duration));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Opens the gate until then, or shuts it, and tells who has to know.
    fn act(&self, until: Option<Instant>, duties: &impl LeaderCallbacks) -> bool {
        let now = Instant::now();
        let led = *self.leads.borrow();
        match until.filter(|until| *until > now) {
            // A gap, however short, makes it another term: someone else may have written in it.
            Some(until) if led && self.gate.reasons(now).contains(&BlockReason::Standby) => {
                self.lose(duties);
                self.win(until, duties);
                true
            }
            Some(until) if led => {
                self.gate.unblock_until(BlockReason::Standby, until);
                true
            }
            Some(until) => {
                self.win(until, duties);
                true
            }
            None => {
                if led {
                    self.lose(duties);
                }
                false
            }
        }
    }

    fn win(&self, until: Instant, duties: &impl LeaderCallbacks) {
        duties.lead();
        self.gate.unblock_until(BlockReason::Standby, until);
        self.leads.send_replace(true);
        info!(lease = self.title(), identity = self.config.identity, "this replica writes from now on");
    }

    fn lose(&self, duties: &impl LeaderCallbacks) {
        self.gate.block(BlockReason::Standby);
        self.leads.send_replace(false);
        duties.stand_by();
        warn!(lease = self.title(), identity = self.config.identity, "the lease is lost, this replica writes no more");
    }

    fn know(&self, holder: String, serves: Option<String>) {
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
