//! Carries policies out: plans whenever a policy, an entry or a catalogue changed, and writes what the plan says.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use tokio::time::Instant;

use super::catalogues::Catalogues;
use super::denials::{DENIED_RETRY, Denials};
use super::head::Head;
use super::import_log::ImportLog;
use super::place::Place;
use super::plan::{Action, Plan, Step, World, plan};
use super::policy::Policy;
use super::policy_events::PolicyEvents;
use super::policy_reports::PolicyReports;
use super::report::Report;
use crate::clock;
use crate::kube_watch::Watched;
use crate::percent::Percent;
use crate::plan::ApplyError;
use crate::registry::CatalogueSource;
use crate::telemetry::Events;
use crate::writes::{BlockReason, Due, Gate, Resting, WriteRateLimiter, perform};

/// The time within which changes are reconciled together.
const GATHER: Duration = Duration::from_millis(100);
/// The wait after a reconciliation that left something undone.
const RETRY: Duration = Duration::from_secs(2);
/// The time within which the watch shows a write.
const ECHO: Duration = Duration::from_secs(5);
/// Between two writes of one policy's status.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Writes of one reconciliation: between them what has changed is heard.
const BATCH: usize = 100;

/// The settings and means of an [`Importer`].
pub struct Options {
    /// The namespace of the policies.
    pub namespace: String,
    pub source: Box<dyn CatalogueSource>,
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
    place: Place,
    namespace: String,
    gate: Arc<Gate>,
    fleet_limit: Percent,
    writes: WriteRateLimiter,
    changes: WriteRateLimiter,
    reports: Arc<PolicyReports>,
    policies: Watched<Policy>,
    entries: Watched<Head>,
    catalogues: Catalogues,
    /// Entries that were just written.
    resting: Resting<String>,
    denials: Denials,
    told: BTreeMap<String, Instant>,
    log: ImportLog,
}

impl Importer {
    pub fn new(place: Place, options: Options) -> Self {
        Self {
            place,
            namespace: options.namespace,
            catalogues: Catalogues::new(options.source, Arc::clone(&options.gate)),
            gate: options.gate,
            fleet_limit: options.fleet_limit,
            writes: WriteRateLimiter::new(options.write_rate),
            changes: WriteRateLimiter::new(options.swap_rate),
            reports: options.reports,
            policies: Watched::default(),
            entries: Watched::default(),
            resting: Resting::default(),
            denials: Denials::default(),
            told: BTreeMap::new(),
            log: ImportLog::default(),
        }
    }

    /// Runs until the future is dropped, and tells of troubles by these Events.
    pub async fn run(mut self, events: Events) {
        let mut events = PolicyEvents::new(events, self.namespace.clone());
        let (mut policies, mut entries) = (self.place.policies(), self.place.entries());
        let mut reopened = self.gate.reopened();
        let mut due = Due::default();
        loop {
            let changed = tokio::select! {
                Some(event) = policies.next() => self.handle_policy(event),
                Some(event) = entries.next() => self.handle_entry(event),
                () = self.catalogues.changed() => true,
                () = reopened.next() => true,
                () = due.come() => {
                    self.reconcile(&mut events).await.into_iter().for_each(|pause| due.within(pause));
                    false
                }
            };
            if changed {
                due.within(GATHER);
            }
        }
    }

    fn handle_policy(&mut self, event: watcher::Result<Event<Policy>>) -> bool {
        let Some(event) = self.log.heard("PolarisImports", event) else { return false };
        let changed = self.policies.apply(event, |policy| (policy.name.clone(), policy), Policy::differs);
        if changed {
            let policies = self.policies.objects.values();
            let wanted = policies.map(|policy| &*policy.spec.polaris_namespace).filter(|name| !name.is_empty());
            self.catalogues.want(&wanted.collect());
            // What was not taken may be taken now.
            self.denials.retry();
        }
        changed
    }

    fn handle_entry(&mut self, event: watcher::Result<Event<Head>>) -> bool {
        let Some(event) = self.log.heard("ServiceEntries", event) else { return false };
        self.entries.apply(event, |head| (head.name.clone(), head), Head::differs)
    }

    /// Plans, writes a part of the plan, and tells of it. Returns when to do so again, if nothing changes before.
    async fn reconcile(&mut self, events: &mut PolicyEvents) -> Option<Duration> {
        if !self.policies.complete || !self.entries.complete {
            return None;
        }
        self.resting.forget_rested();
        self.denials.forget();
        let Some(kind_stays) = self.kind_stays().await else { return Some(RETRY) };
        let Plan { mut steps, reports, again } = self.plan(kind_stays);
        self.reports.replace(reports.clone());
        self.log.reports(&reports);
        let reasons = self.gate.reasons(clock::now());
        if reasons.contains(&BlockReason::DryRun) {
            self.log.rehearse(&steps);
        }
        if !reasons.is_empty() {
            return again;
        }
        steps.retain(|step| !self.resting.contains(&step.name));
        let more = steps.len() > BATCH;
        steps.truncate(BATCH);
        let undone = self.perform(steps).await;
        let unkept = self.keep(&reports, kind_stays).await;
        let untold = self.tell(&reports, events).await;
        let soonest = [
            more.then_some(GATHER),
            (undone || unkept).then_some(RETRY),
            untold.then_some(STATUS_EVERY),
            (!self.resting.is_empty()).then_some(ECHO),
            (!self.denials.is_empty()).then_some(DENIED_RETRY),
            again,
        ];
        soonest.into_iter().flatten().min()
    }

    /// Whether the kind of policies stays, which matters to those that are being deleted; `None` if that cannot be told now.
    async fn kind_stays(&mut self) -> Option<bool> {
        if !self.policies.objects.values().any(Policy::prunes_all) {
            return Some(true);
        }
        let stays = self.place.has_kind().await;
        self.log.asked(&stays);
        stays.ok()
    }

    fn plan(&self, kind_stays: bool) -> Plan {
        plan(&World {
            policies: &self.policies.objects,
            catalogues: &self.catalogues.known,
            entries: &self.entries.objects,
            denied: &self.denials.all(),
            fleet_limit: self.fleet_limit,
            kind_stays,
            now: clock::wall(clock::now()),
        })
    }

    /// Performs the steps. Returns whether some are to be tried again.
    async fn perform(&mut self, steps: Vec<Step>) -> bool {
        let Self { place, gate, writes, changes, .. } = &*self;
        let limiter = |step: &Step| match step.action {
            Action::Change(_) => changes,
            Action::Create(_) | Action::Mark(_) | Action::Delete { .. } => writes,
        };
        let send = |step: Step| async move {
            let done = place.perform(&step).await;
            (step, done)
        };
        let done = perform(steps, limiter, || gate.check(clock::now()).is_ok(), send).await;
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
                self.denials.end(&step.name);
                self.resting.begin(step.name.clone(), ECHO);
                false
            }
            Err(ApplyError::Stale | ApplyError::Gone | ApplyError::Unavailable { .. }) => true,
            Err(error @ (ApplyError::Refused { .. } | ApplyError::Forbidden { .. })) => {
                self.denials.add(&step.name, error.to_string());
                // So that its status says it.
                true
            }
        }
    }

    /// Has policies stay whose entries go with them, and lets go of those whose entries went. Returns whether some are to be
    /// tried again.
    async fn keep(&mut self, reports: &BTreeMap<String, Report>, kind_stays: bool) -> bool {
        let mut undone = false;
        for policy in self.policies.objects.values().cloned().collect::<Vec<_>>() {
            let entries = reports.get(&policy.name).map_or(0, |report| report.entries);
            let Some(keep) = policy.to_be_kept(entries, kind_stays) else { continue };
            let kept = self.place.keep(&policy, keep).await;
            self.log.kept(&policy.name, &kept);
            undone |= kept.is_err();
            if kept.is_ok() && policy.deleting.is_some() {
                self.policies.objects.remove(&policy.name);
            } else if let (Ok(()), Some(policy)) = (kept, self.policies.objects.get_mut(&policy.name)) {
                policy.finalizers = policy.finalizers(keep);
            }
        }
        undone
    }

    /// Writes the status of policies where it is another one. Returns whether some are to be told later.
    async fn tell(&mut self, reports: &BTreeMap<String, Report>, events: &mut PolicyEvents) -> bool {
        let now = Instant::now();
        let mut later = false;
        events.retain(|name| reports.contains_key(name));
        for (name, report) in reports {
            let Some(policy) = self.policies.objects.get_mut(name) else { continue };
            events.tell(policy, report);
            let status = report.status(policy.generation, &policy.status, clock::wall(clock::now()));
            if status == policy.status {
                continue;
            }
            if self.told.get(name).is_some_and(|at| now.duration_since(*at) < STATUS_EVERY) {
                later = true;
                continue;
            }
            self.told.insert(name.clone(), now);
            let told = self.place.tell(name, &status).await;
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
