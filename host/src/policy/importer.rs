//! Carries policies out: plans whenever a policy, an entry or a catalogue changed, and writes what the plan says.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, select_all};
use jiff::Timestamp;
use kube::api::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use tokio::time::{Instant, sleep};

use super::cluster::Cluster;
use super::follow::{Catalogues, follow};
use super::head::{Head, RawEntry};
use super::import::PolarisImport;
use super::import_log::ImportLog;
use super::plan::{Action, Denied, Known, Plan, Policy, Step, World, plan};
use super::policy_reports::PolicyReports;
use super::report::Report;
use super::watched::Watched;
use crate::clock;
use crate::percent::Percent;
use crate::plan::ApplyError;
use crate::registry::CatalogueSource;
use crate::writes::{BlockReason, Gate, WriteRateLimiter};

/// The time within which changes are reconciled together.
const GATHER: Duration = Duration::from_millis(100);
/// The wait after a reconciliation that left something undone.
const RETRY: Duration = Duration::from_secs(2);
/// The wait between two tries at what the API server does not take.
const DENIED_RETRY: Duration = Duration::from_secs(30);
/// A refusal that is not tried any more is forgotten after this.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// The time within which the watch shows a write.
const ECHO: Duration = Duration::from_secs(5);
/// Between two writes of one policy's status.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Writes of one reconciliation: between them what has changed is heard.
const BATCH: usize = 100;
/// Requests at once.
const WRITERS: usize = 8;

/// The settings and means of an [`Importer`].
pub struct Options {
    /// The namespace of the entries and the policies.
    pub namespace: String,
    /// The API resource of entries.
    pub entry: ApiResource,
    pub source: CatalogueSource,
    pub gate: Arc<Gate>,
    /// `--fleet-limit`, for policies that have no limit of their own.
    pub fleet_limit: Percent,
    /// Entries that are made or deleted a second.
    pub write_rate: NonZeroU32,
    /// Entries that are changed a second.
    pub swap_rate: NonZeroU32,
    pub reports: Arc<PolicyReports>,
}

/// Carries out the policies of one namespace.
pub struct Importer {
    cluster: Cluster,
    source: Arc<CatalogueSource>,
    gate: Arc<Gate>,
    fleet_limit: Percent,
    writes: WriteRateLimiter,
    changes: WriteRateLimiter,
    reports: Arc<PolicyReports>,
    policies: Watched<Policy>,
    entries: Watched<Head>,
    followed: BTreeMap<String, Catalogues>,
    catalogues: BTreeMap<String, Known>,
    /// Entries that are left alone until a time, since they were just written.
    resting: BTreeMap<String, Instant>,
    /// Writes that the API server did not take, and when each is tried again.
    denied: BTreeMap<String, (String, Instant)>,
    told: BTreeMap<String, Instant>,
    log: ImportLog,
}

impl Importer {
    pub fn new(client: Client, options: Options) -> Self {
        Self {
            cluster: Cluster::new(client, options.namespace, options.entry),
            source: Arc::new(options.source),
            gate: options.gate,
            fleet_limit: options.fleet_limit,
            writes: WriteRateLimiter::new(options.write_rate),
            changes: WriteRateLimiter::new(options.swap_rate),
            reports: options.reports,
            policies: Watched::default(),
            entries: Watched::default(),
            followed: BTreeMap::new(),
            catalogues: BTreeMap::new(),
            resting: BTreeMap::new(),
            denied: BTreeMap::new(),
            told: BTreeMap::new(),
            log: ImportLog::default(),
        }
    }

    /// Runs until the future is dropped.
    pub async fn run(mut self) {
        let (mut policies, mut entries) = (self.cluster.policies(), self.cluster.entries());
        let mut reopened = self.gate.reopened();
        let mut timer = pin!(sleep(Duration::ZERO));
        let mut due: Option<Instant> = None;
        loop {
            let mut catalogues = select_all(
                self.followed
                    .iter_mut()
                    .map(|(namespace, catalogues)| catalogues.map(move |known| (namespace.clone(), known)).boxed()),
            );
            let changed = tokio::select! {
                Some(event) = policies.next() => {
                    drop(catalogues);
                    self.handle_policy(event)
                }
                Some(event) = entries.next() => {
                    drop(catalogues);
                    self.handle_entry(event)
                }
                Some((namespace, known)) = catalogues.next(), if !catalogues.is_empty() => {
                    drop(catalogues);
                    self.catalogues.insert(namespace, known);
                    true
                }
                () = reopened.next() => true,
                () = &mut timer, if due.is_some() => {
                    drop(catalogues);
                    due = self.reconcile().await.map(|pause| Instant::now() + pause);
                    false
                }
            };
            if changed {
                let soon = Instant::now() + GATHER;
                due = Some(due.map_or(soon, |due| due.min(soon)));
            }
            if let Some(due) = due
                && timer.deadline() != due
            {
                timer.as_mut().reset(due);
            }
        }
    }

    fn handle_policy(&mut self, event: watcher::Result<Event<PolarisImport>>) -> bool {
        let Some(event) = self.log.heard("PolarisImports", event) else { return false };
        let changed = self.policies.apply(
            event,
            |object| (object.name_any(), policy(object)),
            |old, new| {
                // The status is ours alone.
                (old.generation, old.created) != (new.generation, new.created)
            },
        );
        if changed {
            self.follow_wanted();
            // What was not taken may be taken now.
            self.denied.values_mut().for_each(|(_, until)| *until = Instant::now());
        }
        changed
    }

    fn handle_entry(&mut self, event: watcher::Result<Event<RawEntry>>) -> bool {
        let Some(event) = self.log.heard("ServiceEntries", event) else { return false };
        let read = |entry: &RawEntry| {
            let head = Head::new(entry);
            (head.name.clone(), head)
        };
        self.entries.apply(event, read, |old, new| old.differs(new))
    }

    /// Follows the namespaces that policies want, and no others.
    fn follow_wanted(&mut self) {
        let wanted = || self.policies.objects.values().map(|policy| &policy.spec.polaris_namespace);
        self.followed.retain(|namespace, _| wanted().any(|wanted| wanted == namespace));
        self.catalogues.retain(|namespace, _| wanted().any(|wanted| wanted == namespace));
        for namespace in wanted() {
            self.followed
                .entry(namespace.clone())
                .or_insert_with(|| follow(Arc::clone(&self.source), Arc::clone(&self.gate), namespace.clone()));
        }
    }

    /// Plans, writes a part of the plan, and tells of it. Returns when to do so again, if nothing changes before.
    async fn reconcile(&mut self) -> Option<Duration> {
        if !self.policies.complete || !self.entries.complete {
            return None;
        }
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        // What is still wanted was tried again since.
        self.denied.retain(|_, (_, until)| *until + FORGOTTEN > now);
        let Plan { mut steps, reports, again } = self.plan(now);
        self.reports.replace(reports.clone());
        self.log.reports(&reports);
        let reasons = self.gate.reasons(clock::now());
        if reasons.contains(&BlockReason::DryRun) {
            self.log.rehearse(&steps);
        }
        if !reasons.is_empty() {
            return again;
        }
        steps.retain(|step| !self.resting.contains_key(&step.name));
        let more = steps.len() > BATCH;
        steps.truncate(BATCH);
        let undone = self.perform(steps).await;
        let untold = self.tell(&reports).await;
        let soonest = [
            more.then_some(GATHER),
            undone.then_some(RETRY),
            untold.then_some(STATUS_EVERY),
            (!self.resting.is_empty()).then_some(ECHO),
            (!self.denied.is_empty()).then_some(DENIED_RETRY),
            again,
        ];
        soonest.into_iter().flatten().min()
    }

    fn plan(&self, now: Instant) -> Plan {
        let denied = self
            .denied
            .iter()
            .map(|(name, (words, until))| (name.clone(), Denied { words: words.clone(), again: *until <= now }));
        plan(&World {
            policies: &self.policies.objects,
            catalogues: &self.catalogues,
            entries: &self.entries.objects,
            denied: &denied.collect(),
            fleet_limit: self.fleet_limit,
            now: clock::wall(clock::now()),
        })
    }

    /// Performs the steps. Returns whether some are to be tried again.
    async fn perform(&mut self, steps: Vec<Step>) -> bool {
        let Self { cluster, gate, writes, changes, .. } = self;
        let (cluster, gate, writes, changes) = (&*cluster, &*gate, &*writes, &*changes);
        let done: Vec<_> = stream::iter(steps)
            .map(|step| async move {
                match step.action {
                    Action::Change(_) => changes.take(false).await,
                    Action::Create(_) | Action::Mark(_) | Action::Delete { .. } => writes.take(false).await,
                }
                if gate.check(clock::now()).is_err() {
                    return (step, None);
                }
                let done = cluster.perform(&step).await;
                (step, Some(done))
            })
            .buffer_unordered(WRITERS)
            .collect()
            .await;
        let mut undone = false;
        for (step, done) in done {
            undone |= self.note(&step, done);
        }
        undone
    }

    /// Notes what became of a step. Returns whether it is to be tried again soon.
    fn note(&mut self, step: &Step, done: Option<Result<(), ApplyError>>) -> bool {
        let Some(done) = done else { return false };
        self.log.written(step, &done);
        match done {
            Ok(()) => {
                match step.action {
                    Action::Create(_) => self.reports.count_imported(),
                    Action::Delete { .. } => self.reports.count_pruned(),
                    Action::Change(_) | Action::Mark(_) => {}
                }
                self.denied.remove(&step.name);
                self.resting.insert(step.name.clone(), Instant::now() + ECHO);
                false
            }
            Err(ApplyError::Stale | ApplyError::Gone | ApplyError::Unavailable { .. }) => true,
            Err(error @ (ApplyError::Refused { .. } | ApplyError::Forbidden { .. })) => {
                let again = Instant::now() + DENIED_RETRY;
                self.denied.insert(step.name.clone(), (error.to_string(), again));
                // So that its status says it.
                true
            }
        }
    }

    /// Writes the status of policies where it is another one. Returns whether some are to be told later.
    async fn tell(&mut self, reports: &BTreeMap<String, Report>) -> bool {
        let now = Instant::now();
        let mut later = false;
        for (name, report) in reports {
            let Some(policy) = self.policies.objects.get_mut(name) else { continue };
            let status = report.status(policy.generation, &policy.status, clock::wall(clock::now()));
            if status == policy.status {
                continue;
            }
            if self.told.get(name).is_some_and(|at| now.duration_since(*at) < STATUS_EVERY) {
                later = true;
                continue;
            }
            self.told.insert(name.clone(), now);
            let told = self.cluster.tell(name, &status).await;
            self.log.told(name, &told);
            match told {
                Ok(()) => policy.status = status,
                Err(_) => later = true,
            }
        }
        self.told.retain(|name, _| reports.contains_key(name));
        later
    }
}

fn policy(object: &PolarisImport) -> Policy {
    let created: Option<Timestamp> = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
    Policy {
        name: object.name_any(),
        generation: object.metadata.generation.unwrap_or_default(),
        created,
        spec: object.spec.clone(),
        status: object.status.clone().unwrap_or_default(),
    }
}
