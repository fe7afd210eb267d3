//! Keeps the names of a namespace: compares the wanted objects with the live ones whenever an entry or an object of ours
//! changed, and writes the difference.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use kube::Client;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event};

use super::DnsEntryEvents;
use super::client::{Cluster, REMEDY, Trouble};
use super::dns_entry::DnsEntry;
use super::live::{Live, Objects};
use super::lost_vip::LostVips;
use super::mode::Mode;
use super::names_log::NamesLog;
use super::objects::Wanted;
use super::plan::{Entries, Kind, Step, plan};
use super::records::{Settings, names};
use crate::kube_watch::Watched;
use crate::writes::{Due, Resting, WriteRateLimiter, perform};

/// The time within which changes are reconciled together.
const GATHER: Duration = Duration::from_millis(50);
/// The wait after a reconciliation that left something undone.
const RETRY: Duration = Duration::from_secs(2);
/// The wait between two tries on an object that belongs to someone else, or that we may not write.
const STUCK_RETRY: Duration = Duration::from_secs(30);
/// The time within which the watch shows a write.
const ECHO: Duration = Duration::from_secs(5);

/// The question asked before names of entries that are no longer seen are removed.
const LISTING: &str = "listing ServiceEntries whose names are to be removed";

/// Whether this process may write now. Asked before every write.
pub type MayWrite = Arc<dyn Fn() -> bool + Send + Sync>;

/// The settings and means of a [`DnsController`].
pub struct Options {
    /// The namespace of the entries.
    pub namespace: String,
    /// The API resource of entries.
    pub entry: ApiResource,
    /// The records to publish.
    pub settings: Settings,
    /// `--repair-vip`.
    pub repair: bool,
    /// Whether this process may write.
    pub may_write: MayWrite,
    /// The rate of writes.
    pub rate_limiter: WriteRateLimiter,
}

type Watch = BoxStream<'static, watcher::Result<Event<DynamicObject>>>;

/// Keeps the names of a namespace.
pub struct DnsController {
    cluster: Cluster,
    options: Options,
    /// The entries by uid.
    entries: Watched<DnsEntry>,
    services: Objects,
    slices: Objects,
    /// Objects that were just written or are stuck.
    resting: Resting<(Kind, String)>,
    log: NamesLog,
    lost_vips: LostVips,
}

impl DnsController {
    /// A controller for one namespace.
    pub fn new(client: Client, options: Options) -> Self {
        Self {
            cluster: Cluster::new(client, options.namespace.clone(), options.entry.clone()),
            options,
            entries: Watched::default(),
            services: Objects::default(),
            slices: Objects::default(),
            resting: Resting::default(),
            log: NamesLog::default(),
            lost_vips: LostVips::default(),
        }
    }

    /// Runs until the entries end, or the future is dropped.
    pub async fn run(mut self, mut entries: DnsEntryEvents) {
        // Services and slices are watched once a name is wanted: without one, no right to do so is needed.
        let mut services: Watch = stream::pending().boxed();
        let mut slices: Watch = stream::pending().boxed();
        let mut watching = false;
        let mut due = Due::default();
        loop {
            let changed = tokio::select! {
                event = entries.recv() => match event {
                    Some(event) => self.handle_entry(event),
                    None => return,
                },
                Some(event) = services.next() => self.handle_object(Kind::Service, event),
                Some(event) = slices.next() => self.handle_object(Kind::Slice, event),
                () = due.come() => {
                    self.reconcile().await.into_iter().for_each(|pause| due.within(pause));
                    false
                }
            };
            if !watching && self.wants_names() {
                (services, slices) = (self.cluster.follow(Kind::Service), self.cluster.follow(Kind::Slice));
                watching = true;
            }
            if changed {
                due.within(GATHER);
            }
        }
    }

    /// Whether any entry may have names.
    fn wants_names(&self) -> bool {
        self.options.settings.mode != Mode::Off || self.entries.objects.values().any(|entry| entry.dns.is_some())
    }

    /// Whether an event changes names: most changes are of endpoints, and do not.
    fn handle_entry(&mut self, event: Event<DnsEntry>) -> bool {
        match &event {
            Event::InitApply(entry) | Event::Apply(entry) => self.lost_vips.check(entry, self.options.repair),
            Event::Delete(entry) => self.lost_vips.forget(entry),
            Event::Init | Event::InitDone => {}
        }
        let wanted = |entry: &DnsEntry| names(entry, &self.options.settings);
        self.entries.apply(
            event,
            |entry| (entry.uid.clone(), entry),
            |before, entry| entry.has_lost_vip() || wanted(before) != wanted(entry),
        )
    }

    fn handle_object(&mut self, kind: Kind, event: watcher::Result<Event<DynamicObject>>) -> bool {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                self.log.outage(kind.watch(), &format!("{error}; {REMEDY}"));
                return false;
            }
        };
        // `Init` comes before the watch is tried, so it proves nothing.
        if !matches!(event, Event::Init) {
            self.log.works(kind.watch());
        }
        if let Event::Apply(object) | Event::Delete(object) = &event {
            let name = object.metadata.name.clone().unwrap_or_default();
            self.resting.end(&(kind, name));
        }
        let cache = match kind {
            Kind::Service => &mut self.services,
            Kind::Slice => &mut self.slices,
        };
        cache.apply(event, Live::named, |_, _| true)
    }

    /// Reconciles all names once. Returns the time until the next reconciliation, if something was left undone.
    async fn reconcile(&mut self) -> Option<Duration> {
        if !self.entries.complete {
            return None;
        }
        if !(self.options.may_write)() {
            return Some(RETRY);
        }
        let lost_vips = self.repair().await;
        let names = if self.services.complete && self.slices.complete { self.publish().await } else { None };
        lost_vips.into_iter().chain(names).min()
    }

    async fn repair(&mut self) -> Option<Duration> {
        if !self.options.repair {
            return None;
        }
        let now = Instant::now();
        let due: Vec<_> =
            self.entries.objects.values().filter(|entry| self.lost_vips.due(entry, now)).cloned().collect();
        for entry in &due {
            if (self.options.may_write)() {
                self.options.rate_limiter.take(false).await;
                self.lost_vips.repair(&self.cluster, entry, now).await;
            }
        }
        self.entries.objects.values().any(DnsEntry::has_lost_vip).then_some(RETRY)
    }

    async fn publish(&mut self) -> Option<Duration> {
        let settings = &self.options.settings;
        let mut all: Vec<_> = self.entries.objects.values().map(|entry| (entry, names(entry, settings))).collect();
        let wanted = Wanted::new(&mut all);
        self.log.refusals(&all);
        let known: BTreeSet<String> = self.entries.objects.keys().cloned().collect();
        let Some(gone) = self.gone(&known).await else { return Some(RETRY) };
        let entries = Entries { known: &known, gone: &gone };
        let mut steps = plan(&self.options.namespace, &wanted, &self.services, &self.slices, &entries);
        self.resting.forget_rested();
        let all = steps.len();
        steps.retain(|step| !self.resting.contains(&(step.kind, step.name.clone())));
        let rested = all - steps.len();
        let undone = self.perform(steps).await;
        (rested > 0 || undone).then_some(RETRY)
    }

    /// The entries of our objects that are certainly gone or no longer ours; `None` if that cannot be told now.
    async fn gone(&mut self, known: &BTreeSet<String>) -> Option<BTreeSet<String>> {
        let objects = self.services.objects.values().chain(self.slices.objects.values());
        let strangers: BTreeSet<String> =
            objects.flat_map(|live| live.entries()).filter(|uid| !known.contains(*uid)).map(str::to_owned).collect();
        if strangers.is_empty() {
            return Some(strangers);
        }
        match self.cluster.entries().await {
            Ok(there) => {
                self.log.works(LISTING);
                let unseen = strangers.iter().any(|uid| there.get(uid) == Some(&true));
                // The watch lags behind: it will show them.
                if unseen { None } else { Some(strangers) }
            }
            Err(error) => {
                self.log.outage(LISTING, &error.to_string());
                None
            }
        }
    }

    /// Performs the steps. Returns whether some are to be tried again.
    async fn perform(&mut self, steps: Vec<Step>) -> bool {
        let Self { cluster, options, .. } = &*self;
        let send = |step: Step| async move {
            let done = cluster.perform(&step).await;
            (step, done)
        };
        let done = perform(steps, |_| &options.rate_limiter, || (options.may_write)(), send).await;
        let mut undone = false;
        for (step, done) in done {
            let rest = match &done {
                Some(Ok(())) => Some(ECHO),
                Some(Err(Trouble::Foreign | Trouble::Forbidden(_))) => Some(STUCK_RETRY),
                Some(Err(_)) | None => None,
            };
            undone |= !matches!(done, Some(Ok(())));
            if let Some(rest) = rest {
                self.resting.begin((step.kind, step.name.clone()), rest);
            }
            match done {
                Some(Ok(())) => self.log.done(&self.options.namespace, &step),
                Some(Err(Trouble::Stale)) | None => {}
                Some(Err(trouble)) => self.log.trouble(&self.options.namespace, &step, &trouble),
            }
        }
        undone
    }
}
