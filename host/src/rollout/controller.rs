//! Receives modules from their source, and commands from the operator; it alone changes which modules are in use.
//!
//! Until a change everything happens beside the active module, which goes on whatever happens to a candidate. The leader
//! decides and writes its decision down; other replicas follow what is written.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::carry_out::RollBack;
use super::evaluation::Evaluation;
use super::loader::Loader;
use super::module_set::ModuleSet;
use super::module_state::{ModuleRecord, ModuleState};
use super::{ActiveModules, Engine, Policy, Request};
use crate::converter::{Identity, LoadedModule, Parameters, ParametersFollower};
use crate::source::{Follower, ModuleBytes, SourceNews};
use crate::text;

/// The longest origin that is written down, in characters.
const ORIGIN: usize = 300;
/// The wait before something that failed for now is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

pub struct RolloutController {
    pub(super) modules: Arc<ActiveModules>,
    pub(super) loader: Loader,
    source: Follower,
    flags: Parameters,
    file: Option<ParametersFollower>,
    pub(super) policy: Policy,
    /// Whether the approved module is lost, so that the active one is not approved.
    pub(super) lost: bool,
    pub(super) leads: watch::Receiver<bool>,
    requests: mpsc::Receiver<Request>,
    pub(super) engine: Option<Arc<dyn Engine>>,
    /// The module that the source has.
    pub(super) offered: Option<ModuleBytes>,
    /// The parameters that are set for it.
    pub(super) parameters: Parameters,
    /// The candidate that was compared last.
    pub(super) candidate: Option<Arc<LoadedModule>>,
    /// The time to evaluate the offered module again.
    pub(super) again: Option<Instant>,
    /// A roll-back that is not written down yet.
    pub(super) unwritten: Option<RollBack>,
    /// The evaluation of the offered module, while it lasts.
    pub(super) evaluation: Option<Evaluation>,
    /// The approved module, if processes ended here while they loaded it: the leader goes back from it to the active one.
    pub(super) deadly: Option<Identity>,
}

impl RolloutController {
    #[allow(clippy::too_many_arguments, reason = "made in one place, of parts that belong to nobody else")]
    pub(super) fn new(
        modules: Arc<ActiveModules>,
        loader: Loader,
        source: Follower,
        flags: Parameters,
        file: Option<ParametersFollower>,
        policy: Policy,
        lost: bool,
        deadly: Option<Identity>,
        leads: watch::Receiver<bool>,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        let parameters = modules.active().identity().parameters();
        Self {
            modules,
            loader,
            source,
            flags,
            file,
            policy,
            lost,
            leads,
            requests,
            engine: None,
            offered: None,
            parameters,
            candidate: None,
            again: None,
            unwritten: None,
            evaluation: None,
            deadly,
        }
    }

    /// Runs until the future is dropped.
    pub async fn run(mut self, engine: Arc<dyn Engine>) {
        engine.module_missing(self.lost);
        self.engine = Some(engine);
        if self.file.is_none() {
            self.parameters = merged(&self.flags, None);
        }
        self.leave_deadly().await;
        let modules = Arc::clone(&self.modules);
        let mut state = self.loader.keeper.document();
        loop {
            let due = self.due();
            tokio::select! {
                news = self.source.next() => self.handle_news(news).await,
                file = next(&mut self.file) => {
                    self.parameters = merged(&self.flags, Some(&file));
                    self.evaluate().await;
                }
                Some(request) = self.requests.recv() => self.carry_out(request).await,
                module = modules.until_struck_out() => self.roll_back_failing(&module).await,
                evaluated = Evaluation::ended(&mut self.evaluation) => self.conclude(evaluated).await,
                () = sleep_until(due) => self.handle_due().await,
                Ok(()) = state.changed() => self.follow_leader().await,
                Ok(()) = self.leads.changed() => {
                    self.leave_deadly().await;
                    self.follow_leader().await;
                    self.evaluate().await;
                }
            }
        }
    }

    async fn handle_news(&mut self, news: SourceNews) {
        match news {
            SourceNews::Module(candidate) => {
                self.modules.stats().end_trouble();
                self.offered = Some(candidate);
                self.evaluate().await;
            }
            SourceNews::Failed(error) => {
                warn!("{error}; the module in use goes on");
                self.modules.stats().note_trouble(&error.to_string());
            }
            SourceNews::Recovered => {
                info!("the module's source can be read again");
                self.modules.stats().end_trouble();
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let canary = self.module_state().canary.map(|canary| {
            let left = canary.until.duration_since(Timestamp::now());
            Instant::now() + Duration::try_from(left).unwrap_or_default()
        });
        // A step that failed for now is not tried before its time, whatever is due.
        self.again.or(canary.filter(|_| *self.leads.borrow()))
    }

    async fn handle_due(&mut self) {
        if let Err(error) = self.write_roll_back().await {
            return warn!("roll-back not recorded yet: {error}");
        }
        let ended = self.module_state().canary.filter(|canary| canary.until <= Timestamp::now());
        let module = self.modules.module_set().canary.as_ref().map(|(module, _)| Arc::clone(module));
        match (ended, module) {
            (Some(canary), Some(module)) if **module.identity() == canary.module.identity => {
                let detail = format!("its trial on {} of the entries is over", canary.share);
                if self.switch(module, detail).await.is_err() {
                    self.again = Some(Instant::now() + AGAIN);
                }
            }
            _ => self.evaluate().await,
        }
    }

    /// Follows the leader's decision.
    async fn follow_leader(&mut self) {
        let state = self.module_state();
        let Some(active) = &state.active else { return };
        let set = self.modules.module_set();
        let canary = state.canary.as_ref().map(|canary| &canary.module.identity);
        let present = set.canary.as_ref().map(|(module, _)| &**module.identity());
        let same = **set.active.identity() == active.identity && present == canary;
        // A leader without an approved module decides by itself. A roll-back of its own stays in force until it is written down.
        let decides = *self.leads.borrow() && (self.lost || self.unwritten.is_some());
        if decides || (same && !self.lost) {
            return;
        }
        let Some(module) = self.follow(&active.identity).await else {
            error!(module = %active.identity, "the active module is not to be had here: this replica cannot write");
            return self.set_module_missing(true);
        };
        let canary = match &state.canary {
            Some(canary) => self.follow(&canary.module.identity).await.map(|module| (module, canary.share)),
            None => None,
        };
        let previous = (module.identity() != set.active.identity())
            .then(|| (Arc::clone(&set.active), std::time::Instant::now() + self.policy.probation));
        let previous = previous.or_else(|| set.previous.clone());
        // One that was rolled back is nothing to hold another to.
        let previous = previous.filter(|(previous, _)| !self.lost && state.refusal(previous.identity()).is_none());
        let left = Some(Arc::clone(set.active.identity())).filter(|left| state.refusal(left).is_some());
        self.modules.install(ModuleSet { canary, previous, left, ..ModuleSet::of(module) });
        self.lost = false;
        self.set_module_missing(false);
        self.requeue_all();
    }

    /// Finds a module that others decided on, and loads it unless processes ended here while they did that.
    async fn follow(&self, identity: &Identity) -> Option<Arc<LoadedModule>> {
        let is_loaded = self.modules.module_set().find(identity).is_some();
        if !is_loaded && self.loader.ended_by(identity) > 0 {
            error!(module = %identity, "not loaded: a process ended here while it did that; its log says why it ended");
            return None;
        }
        self.find_or_load(identity).await
    }

    /// Finds a module that is in use, offered or kept, and loads it.
    pub(super) async fn find_or_load(&self, identity: &Identity) -> Option<Arc<LoadedModule>> {
        let set = self.modules.module_set();
        if let Some(module) = set.find(identity) {
            return Some(Arc::clone(module));
        }
        let offered = self.offered.clone().filter(|offered| offered.digest == identity.module);
        match offered {
            Some(offered) => {
                let compile = super::loader::compile(&set.active, offered, identity.parameters());
                self.loader.noted(identity, compile).await.ok()
            }
            None => self.loader.load(identity, &set.active).await,
        }
    }

    pub(super) fn module_state(&self) -> ModuleState {
        self.loader.keeper.document().borrow().module.clone()
    }

    pub(super) fn requeue_all(&self) {
        if let Some(engine) = &self.engine {
            engine.requeue_all();
        }
    }

    pub(super) fn set_module_missing(&self, missing: bool) {
        if let Some(engine) = &self.engine {
            engine.module_missing(missing);
        }
    }
}

/// The record of a module in the shared state.
pub(super) fn record(module: &LoadedModule, since: Timestamp) -> ModuleRecord {
    let info = module.info();
    ModuleRecord {
        identity: (**module.identity()).clone(),
        name: info.name.clone(),
        version: info.version.clone(),
        origin: text::shown(module.origin(), ORIGIN),
        since,
    }
}

/// Merges parameters: those given by flags, the host's own among them, count before those of the file.
pub(super) fn merged(flags: &Parameters, file: Option<&Parameters>) -> Parameters {
    let own = file.into_iter().flatten().filter(|(key, _)| !flags.iter().any(|(known, _)| known == key));
    let mut all: Parameters = flags.iter().chain(own).cloned().collect();
    all.sort();
    all
}

async fn next(file: &mut Option<ParametersFollower>) -> Parameters {
    match file {
        Some(file) => file.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
