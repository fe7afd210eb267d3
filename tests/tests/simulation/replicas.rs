//! Replicas: the whole program, as `run` puts it together, with a line of its own to both servers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use polaris2istio::dns;
use polaris2istio::election::ElectionConfig;
use polaris2istio::guard::{HoldTime, Settings};
use polaris2istio::observe::{Status, View};
use polaris2istio::percent::Percent;
use polaris2istio::registry::{CatalogueSource, PolarisConfig, PolarisRegistry};
use polaris2istio::rollout::{Decision, Policy, Setup};
use polaris2istio::run::{Config, HttpPlace, StatePlace, Target, begin};
use polaris2istio::source::{Follower, ModuleBytes, ModuleSource, SourceError, SourceNews};
use tokio::sync::{oneshot, watch};

use crate::api_server::{self, ApiServer};
use crate::faults::Line;
use crate::journal::{Note, Told};
use crate::native;
use crate::registry::{Asker, Registry};

/// How often each service is asked for.
const POLLS: Duration = Duration::from_secs(2);

/// `--empty-hold` and `--removal-hold` of every replica.
pub(crate) const EMPTY_HOLD: Duration = Duration::from_secs(60);
pub(crate) const REMOVAL_HOLD: Duration = Duration::from_secs(10);

/// A lease's time.
pub(crate) const LEASE: Duration = Duration::from_secs(15);

/// The ConfigMap of the shared state.
pub(crate) const STATE: &str = "state";

/// All that replicas are made of.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) registry: Registry,
    pub(crate) api: ApiServer,
    pub(crate) module: watch::Receiver<ModuleBytes>,
    pub(crate) elected: bool,
    /// Whether policies are carried out.
    pub(crate) policies: bool,
}

/// A process, from its start to its end.
pub(crate) struct Replica {
    pub(crate) number: usize,
    pub(crate) line: Line,
    view: Arc<watch::Sender<Option<View>>>,
    stop: oneshot::Sender<()>,
}

impl Replica {
    pub(crate) fn start(number: usize, means: &Means) -> Self {
        let line = Line::default();
        let view = Arc::new(watch::Sender::new(None));
        let (stop, stopped) = oneshot::channel();
        let config = config(number, means, &line);
        let shown = Arc::clone(&view);
        tokio::spawn(async move {
            let mut stopped = std::pin::pin!(async {
                let _ = stopped.await;
            });
            tokio::select! {
                biased;
                () = &mut stopped => {}
                running = begin(config) => {
                    let running = running.expect("a replica begins");
                    shown.send_replace(Some(running.view().clone()));
                    running.finish(stopped).await.expect("a replica ends in good order");
                    shown.send_replace(None);
                }
            }
        });
        Self { number, line, view, stop }
    }

    /// Ends it in good order.
    pub(crate) fn stop(self) {
        let _ = self.stop.send(());
    }

    /// Kills it: nothing that it sends arrives from here on. What is left of it ends by itself.
    pub(crate) fn kill(self) {
        self.line.set(false);
        let _ = self.stop.send(());
    }

    /// Its status; `None` if it has not begun.
    pub(crate) fn status(&self) -> Option<Note> {
        let view = self.view.borrow();
        let view = view.as_ref()?;
        let (status, alarm) = (Status::of(view), view.holds.alarm().map(|alarm| alarm.holding));
        // What is told of the whole process excuses every entry.
        let excused = !status.unready.is_empty() || !status.writes_blocked.is_empty();
        let told = |entry: &polaris2istio::observe::EntryStatus| Told {
            entry: entry.entry.rsplit('/').next().unwrap_or_default().into(),
            state: entry.state.clone(),
            holds: entry.holds.iter().map(|hold| hold.kind.clone()).collect(),
            problems: entry.problems.iter().map(|problem| format!("{}: {}", problem.condition, problem.text)).collect(),
        };
        let entries = status.entries.iter().map(told).collect();
        Some(Note::Status { replica: self.number, leads: status.leads, excused, alarm, entries })
    }

    /// Lets go of all that is held, as the command does in a process that leads.
    pub(crate) fn release(&self) {
        if let Some(view) = self.view.borrow().as_ref().filter(|view| *view.leads.borrow()) {
            view.holds.release_all();
        }
    }

    /// Whether it is known to hold something for an entry.
    pub(crate) fn held(&self) -> Vec<String> {
        let view = self.view.borrow();
        let held = view.iter().flat_map(|view| view.holds.list());
        held.map(|(entry, _)| entry.rsplit('/').next().unwrap_or_default().to_owned()).collect()
    }
}

/// A replica's name in the election.
pub(crate) fn identity(number: usize) -> String {
    format!("replica-{number}")
}

fn config(number: usize, means: &Means, line: &Line) -> Config<PolarisRegistry<Asker>> {
    let asker = Asker { registry: means.registry.clone(), line: line.clone() };
    let catalogue = Box::new(asker.clone());
    let client = kube::Client::new(means.api.server(number, line.clone()), api_server::NAMESPACE);
    let election = means.elected.then(|| ElectionConfig {
        namespace: api_server::NAMESPACE.into(),
        name: "lease".into(),
        identity: identity(number),
        serves: api_server::NAMESPACE.into(),
        duration: LEASE,
    });
    let polaris =
        PolarisConfig { interval: POLLS, ..PolarisConfig::new("first:8090,second:8090".parse().expect("addresses")) };
    Config {
        registry: PolarisRegistry::with(polaris, asker),
        target: Target::Kubernetes,
        cluster: Default::default(),
        client: Some(client),
        namespace: api_server::NAMESPACE.into(),
        modules: modules(means),
        swap_rate: NonZeroU32::new(10).expect("a rate"),
        state: StatePlace::ConfigMap { namespace: api_server::NAMESPACE.into(), name: STATE.into() },
        socket: None,
        http: HttpPlace::Nowhere,
        probes: HttpPlace::Nowhere,
        status_token: None,
        metrics_per_entry: false,
        silent_after: Some(Duration::from_secs(60)),
        election,
        addresses: Default::default(),
        guard: guard(),
        write_rate: NonZeroU32::new(100).expect("a rate"),
        names: dns::Settings { mode: Default::default(), cluster_domain: "cluster.local".into() },
        repair_vip: false,
        policies: means.policies.then_some(catalogue as Box<dyn CatalogueSource>),
        once: false,
        dry_run: false,
    }
}

fn guard() -> Settings {
    Settings { empty_hold: HoldTime::For(EMPTY_HOLD), removal_hold: HoldTime::For(REMOVAL_HOLD), ..Settings::default() }
}

fn modules(means: &Means) -> Setup {
    Setup {
        source: Arc::new(Offered(means.module.clone())),
        cache: None,
        size_limit: 1 << 20,
        load: native::load,
        limits: Default::default(),
        parameters: Vec::new(),
        parameters_file: None,
        policy: Policy {
            decision: Decision::Auto,
            most_removed: Percent::new(10),
            most_added: Percent::new(10),
            most_altered: Percent::new(10),
            canary_time: Duration::from_secs(60),
            most_failures: 3,
            probation: Duration::from_secs(300),
        },
    }
}

/// The source of modules.
struct Offered(watch::Receiver<ModuleBytes>);

impl ModuleSource for Offered {
    fn fetch(&self) -> futures::future::BoxFuture<'_, Result<ModuleBytes, SourceError>> {
        Box::pin(async { Ok(self.0.borrow().clone()) })
    }

    fn follow(&self) -> Follower {
        let mut offered = self.0.clone();
        Follower::spawn(|news| {
            Box::pin(async move {
                loop {
                    let module = offered.borrow_and_update().clone();
                    if news.send(SourceNews::Module(module)).await.is_err() || offered.changed().await.is_err() {
                        return;
                    }
                }
            })
        })
    }
}
