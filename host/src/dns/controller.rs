//! Keeps the names of a namespace: looks whenever an entry or an object of ours changed, and does what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use kube::Client;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event};
use tokio::time::sleep;

use super::DnsEntryEvents;
use super::client::{Cluster, REMEDY, Trouble};
use super::dns_entry::DnsEntry;
use super::lost_vip::LostVips;
use super::mode::Mode;
use super::names_log::NamesLog;
use super::object_cache::ObjectCache;
use super::objects::Wanted;
use super::plan::{Entries, Kind, Step, plan};
use super::records::{Settings, names};
use crate::writes::WriteRateLimiter;

/// Changes that come together are looked at together.
const GATHER: Duration = Duration::from_millis(50);
/// After a pass that left something undone.
const RETRY: Duration = Duration::from_secs(2);
/// Between two tries at what somebody else has, or we may not do.
const STUCK_RETRY: Duration = Duration::from_secs(30);
/// How long the watch may take to show what was written.
const ECHO: Duration = Duration::from_secs(5);
/// Requests at once.
const WRITERS: usize = 8;

/// What is asked before names of entries that are no longer seen are removed.
const LISTING: &str = "listing ServiceEntries whose names are to be removed";

/// Whether this process may write now. Asked before every write.
pub type MayWrite = Arc<dyn Fn() -> bool + Send + Sync>;

/// What the keeper is told.
pub struct Options {
    /// The namespace of the entries.
    pub namespace: String,
    /// The API resource of entries.
    pub entry: ApiResource,
    /// What is published.
    pub settings: Settings,
    /// `--repair-vip`.
    pub repair: bool,
    /// Whether this process may write.
    pub may_write: MayWrite,
    /// The rate of writes.
    pub budget: WriteRateLimiter,
}

type Watch = BoxStream<'static, watcher::Result<Event<DynamicObject>>>;

/// Keeps the names of a namespace.
pub struct DnsController {
    cluster: Cluster,
    options: Options,
    /// By uid.
    bearers: BTreeMap<String, DnsEntry>,
    incoming: BTreeMap<String, DnsEntry>,
    listed: bool,
    services: ObjectCache,
    slices: ObjectCache,
    /// Objects that are left alone until then: just written, or stuck.
    resting: BTreeMap<(Kind, String), Instant>,
    log: NamesLog,
    traps: LostVips,
}

impl DnsController {
    /// One for a namespace.
    pub fn new(client: Client, options: Options) -> Self {
        Self {
            cluster: Cluster::new(client, options.namespace.clone(), options.entry.clone()),
            options,
            bearers: BTreeMap::new(),
            incoming: BTreeMap::new(),
            listed: false,
            services: ObjectCache::default(),
            slices: ObjectCache::default(),
            resting: BTreeMap::new(),
            log: NamesLog::default(),
            traps: LostVips::default(),
        }
    }

    /// Runs until the entries end, or the future is dropped.
    pub async fn run(mut self, mut entries: DnsEntryEvents) {
        // Services and slices are watched once a name is wanted: without one, no right to do so is needed.
        let mut services: Watch = stream::pending().boxed();
        let mut slices: Watch = stream::pending().boxed();
        let mut watching = false;
        let mut look = pin!(sleep(Duration::ZERO));
        let mut due: Option<tokio::time::Instant> = None;
        loop {
            let changed = tokio::select! {
                event = entries.recv() => match event {
                    Some(event) => self.entry(event),
                    None => return,
                },
                Some(event) = services.next() => self.object(Kind::Service, event),
                Some(event) = slices.next() => self.object(Kind::Slice, event),
                () = &mut look, if due.is_some() => {
                    due = self.pass().await.map(|pause| tokio::time::Instant::now() + pause);
                    false
                }
            };
            if !watching && self.wants_names() {
                (services, slices) = (self.cluster.follow(Kind::Service), self.cluster.follow(Kind::Slice));
                watching = true;
            }
            if changed {
                let soon = tokio::time::Instant::now() + GATHER;
                due = Some(due.map_or(soon, |due| due.min(soon)));
            }
            if let Some(due) = due
                && look.deadline() != due
            {
                look.as_mut().reset(due);
            }
        }
    }

    /// Whether any entry may have names.
    fn wants_names(&self) -> bool {
        self.options.settings.mode != Mode::Off || self.bearers.values().any(|bearer| bearer.dns.is_some())
    }

    fn entry(&mut self, event: Event<DnsEntry>) -> bool {
        match event {
            Event::Init => self.incoming.clear(),
            Event::InitApply(bearer) => drop(self.incoming.insert(bearer.uid.clone(), bearer)),
            Event::InitDone => {
                self.bearers = std::mem::take(&mut self.incoming);
                self.listed = true;
                self.bearers.values().for_each(|bearer| self.traps.look(bearer, self.options.repair));
                return true;
            }
            Event::Apply(bearer) => {
                self.traps.look(&bearer, self.options.repair);
                let matters = self.matters(&bearer);
                self.bearers.insert(bearer.uid.clone(), bearer);
                return matters;
            }
            Event::Delete(bearer) => {
                self.traps.forget(&bearer);
                return self.bearers.remove(&bearer.uid).is_some();
            }
        }
        false
    }

    /// Whether an entry's new state leads to anything: most changes are of endpoints, and no concern of names.
    fn matters(&self, bearer: &DnsEntry) -> bool {
        let wanted = |bearer| names(bearer, &self.options.settings);
        let before = self.bearers.get(&bearer.uid);
        bearer.trapped() || before.is_none_or(|before| wanted(before) != wanted(bearer))
    }

    fn object(&mut self, kind: Kind, event: watcher::Result<Event<DynamicObject>>) -> bool {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                self.log.outage(kind.watch(), &format!("{error}; {REMEDY}"));
                return false;
            }
        };
        // A new start is told before it is tried.
        if !matches!(event, Event::Init) {
            self.log.works(kind.watch());
        }
        if let Event::Apply(object) | Event::Delete(object) = &event {
            let name = object.metadata.name.clone().unwrap_or_default();
            self.resting.remove(&(kind, name));
        }
        let shelf = match kind {
            Kind::Service => &mut self.services,
            Kind::Slice => &mut self.slices,
        };
        shelf.take(event);
        true
    }

    /// Looks at everything once. Returns when to look again, where something was left undone.
    async fn pass(&mut self) -> Option<Duration> {
        if !self.listed {
            return None;
        }
        if !(self.options.may_write)() {
            return Some(RETRY);
        }
        let traps = self.repair().await;
        let names = if self.services.complete && self.slices.complete { self.keep().await } else { None };
        traps.into_iter().chain(names).min()
    }

    async fn repair(&mut self) -> Option<Duration> {
        if !self.options.repair {
            return None;
        }
        let now = Instant::now();
        let due: Vec<_> = self.bearers.values().filter(|bearer| self.traps.due(bearer, now)).cloned().collect();
        for bearer in &due {
            if (self.options.may_write)() {
                self.options.budget.take(false).await;
                self.traps.repair(&self.cluster, bearer, now).await;
            }
        }
        self.bearers.values().any(DnsEntry::trapped).then_some(RETRY)
    }

    async fn keep(&mut self) -> Option<Duration> {
        let settings = &self.options.settings;
        let mut all: Vec<_> = self.bearers.values().map(|bearer| (bearer, names(bearer, settings))).collect();
        let wanted = Wanted::new(&mut all);
        self.log.refusals(&all);
        let known: BTreeSet<String> = self.bearers.keys().cloned().collect();
        let Some(gone) = self.gone(&known).await else { return Some(RETRY) };
        let entries = Entries { known: &known, gone: &gone };
        let mut steps = plan(&self.options.namespace, &wanted, &self.services, &self.slices, &entries);
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        let all = steps.len();
        steps.retain(|step| !self.resting.contains_key(&(step.kind, step.name.clone())));
        let rested = all - steps.len();
        let undone = self.perform(steps).await;
        (rested > 0 || undone).then_some(RETRY)
    }

    /// The entries of our objects that are certainly gone or no longer ours; none where that cannot be said now.
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

    /// Does the steps. Returns whether some are to be tried again.
    async fn perform(&mut self, steps: Vec<Step>) -> bool {
        let Self { cluster, options, .. } = self;
        let done: Vec<_> = stream::iter(steps)
            .map(|step| async {
                if !(options.may_write)() {
                    return (step, None);
                }
                options.budget.take(false).await;
                let done = cluster.perform(&step).await;
                (step, Some(done))
            })
            .buffer_unordered(WRITERS)
            .collect()
            .await;
        let mut undone = false;
        for (step, done) in done {
            let rest = match &done {
                Some(Ok(())) => Some(ECHO),
                Some(Err(Trouble::Foreign | Trouble::Forbidden(_))) => Some(STUCK_RETRY),
                Some(Err(_)) | None => None,
            };
            undone |= !matches!(done, Some(Ok(())));
            if let Some(rest) = rest {
                self.resting.insert((step.kind, step.name.clone()), Instant::now() + rest);
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
