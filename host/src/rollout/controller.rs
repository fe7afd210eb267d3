//! Takes modules as their source gives them, and people's commands; it alone changes which modules are in use.
//!
//! Until a change everything happens beside the active module, which goes on whatever becomes of a candidate. The leader
//! decides and writes it down; other replicas follow what is written.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::loader::Loader;
use super::module_set::ModuleSet;
use super::module_state::{ModuleRecord, ModuleState};
use super::start::merged;
use super::{ActiveModules, Command, Engine, Policy};
use crate::converter::Identity;
use crate::converter::{LoadedModule, Parameters, ParametersFollower};
use crate::source::{Follower, ModuleBytes, SourceNews};

/// A command, and where its answer goes.
pub type Request = (Command, oneshot::Sender<Result<Value, String>>);

/// When something that failed for now is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// Changes modules.
pub struct RolloutController {
    pub(super) live: Arc<ActiveModules>,
    pub(super) loader: Loader,
    source: Follower,
    flags: Parameters,
    file: Option<ParametersFollower>,
    pub(super) policy: Policy,
    /// The active module is one that nobody approved: the approved one is lost.
    pub(super) lost: bool,
    pub(super) leads: watch::Receiver<bool>,
    requests: mpsc::Receiver<Request>,
    pub(super) engine: Option<Arc<dyn Engine>>,
    /// What the source has.
    pub(super) offered: Option<ModuleBytes>,
    /// What is set for it.
    pub(super) parameters: Parameters,
    /// The candidate that was compared last.
    pub(super) candidate: Option<Arc<LoadedModule>>,
    /// When to look at the offer again.
    pub(super) again: Option<Instant>,
    /// Why the module was rolled back, until that is written down.
    pub(super) unwritten: Option<String>,
}

impl RolloutController {
    #[allow(clippy::too_many_arguments, reason = "made in one place, of parts that belong to nobody else")]
    pub(super) fn new(
        live: Arc<ActiveModules>,
        loader: Loader,
        source: Follower,
        flags: Parameters,
        file: Option<ParametersFollower>,
        policy: Policy,
        lost: bool,
        leads: watch::Receiver<bool>,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        let parameters = live.active().identity().parameters();
        Self {
            live,
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
        }
    }

    /// Runs until the future is dropped.
    pub async fn run(mut self, engine: Arc<dyn Engine>) {
        engine.module_missing(self.lost);
        self.engine = Some(engine);
        if self.file.is_none() {
            self.parameters = merged(&self.flags, None);
        }
        let live = Arc::clone(&self.live);
        let mut state = self.loader.keeper.document();
        loop {
            let due = self.due();
            tokio::select! {
                news = self.source.next() => self.news(news).await,
                file = next(&mut self.file) => {
                    self.parameters = merged(&self.flags, Some(&file));
                    self.consider().await;
                }
                Some((command, reply)) = self.requests.recv() => {
                    // Who asked may be gone.
                    let _ = reply.send(self.obey(command).await);
                }
                () = live.struck_out() => self.struck_out().await,
                () = sleep_until(due) => self.is_due().await,
                Ok(()) = state.changed() => self.follow().await,
                Ok(()) = self.leads.changed() => {
                    self.follow().await;
                    self.consider().await;
                }
            }
        }
    }

    async fn news(&mut self, news: SourceNews) {
        match news {
            SourceNews::Module(candidate) => {
                self.offered = Some(candidate);
                self.consider().await;
            }
            SourceNews::Failed(error) => warn!("{error}; the module in use goes on"),
            SourceNews::Recovered => info!("the module's source can be read again"),
        }
    }

    fn due(&self) -> Option<Instant> {
        let canary = self.ledger().canary.map(|canary| {
            let left = canary.until.duration_since(Timestamp::now());
            Instant::now() + Duration::try_from(left).unwrap_or_default()
        });
        // What failed for now is not tried before its time, whatever is due.
        self.again.or(canary.filter(|_| *self.leads.borrow()))
    }

    async fn is_due(&mut self) {
        if let Err(error) = self.write_roll_back().await {
            return warn!("a roll-back is not written down yet: {error}");
        }
        let ended = self.ledger().canary.filter(|canary| canary.until <= Timestamp::now());
        let rules = self.live.lineup().canary.as_ref().map(|(rules, _)| Arc::clone(rules));
        match (ended, rules) {
            (Some(canary), Some(rules)) if **rules.identity() == canary.rules.identity => {
                let detail = format!("its trial on {} of the entries is over", canary.share);
                if self.switch(rules, detail).await.is_err() {
                    self.again = Some(Instant::now() + AGAIN);
                }
            }
            _ => self.consider().await,
        }
    }

    /// The newest module fails too often: back, without asking anybody.
    async fn struck_out(&mut self) {
        if !*self.leads.borrow() {
            return;
        }
        let reason = "it failed, or rejected what the one before converts, too often";
        if let Err(problem) = self.roll_back(reason).await {
            error!("the active module fails too often, and it cannot be taken back: {problem}");
        }
    }

    /// Takes over what the leader decided.
    async fn follow(&mut self) {
        let ledger = self.ledger();
        let Some(active) = &ledger.active else { return };
        let lineup = self.live.lineup();
        let canary = ledger.canary.as_ref().map(|canary| &canary.rules.identity);
        let present = lineup.canary.as_ref().map(|(rules, _)| &**rules.identity());
        let same = **lineup.active.identity() == active.identity && present == canary;
        // A leader without an approved module decides by itself; and what it undid stays undone until that is written down.
        let decides = *self.leads.borrow() && (self.lost || self.unwritten.is_some());
        if decides || (same && !self.lost) {
            return;
        }
        let Some(rules) = self.get(&active.identity).await else {
            error!(module = %active.identity, "the active module is not to be had here: this replica cannot write");
            return self.missing(true);
        };
        let canary = match &ledger.canary {
            Some(canary) => self.get(&canary.rules.identity).await.map(|rules| (rules, canary.share)),
            None => None,
        };
        let previous = (rules.identity() != lineup.active.identity())
            .then(|| (Arc::clone(&lineup.active), std::time::Instant::now() + self.policy.probation));
        let previous = previous.or_else(|| lineup.previous.clone());
        let previous = previous.filter(|_| !self.lost);
        self.live.install(ModuleSet { canary, previous, ..ModuleSet::of(rules) });
        self.lost = false;
        self.missing(false);
        self.requeue_all();
    }

    /// A module that is in use, offered or kept.
    pub(super) async fn get(&self, identity: &Identity) -> Option<Arc<LoadedModule>> {
        let lineup = self.live.lineup();
        if let Some(rules) = lineup.find(identity) {
            return Some(Arc::clone(rules));
        }
        let offered = self.offered.clone().filter(|offered| offered.digest == identity.module);
        match offered {
            Some(offered) => super::loader::compile(&lineup.active, offered, identity.parameters()).await.ok(),
            None => self.loader.load(identity, &lineup.active).await,
        }
    }

    pub(super) fn ledger(&self) -> ModuleState {
        self.loader.keeper.document().borrow().module.clone()
    }

    pub(super) fn requeue_all(&self) {
        if let Some(engine) = &self.engine {
            engine.requeue_all();
        }
    }

    pub(super) fn missing(&self, missing: bool) {
        if let Some(engine) = &self.engine {
            engine.module_missing(missing);
        }
    }
}

/// A module as it is written down.
pub(super) fn named(rules: &LoadedModule, since: Timestamp) -> ModuleRecord {
    let info = rules.info();
    ModuleRecord {
        identity: (**rules.identity()).clone(),
        name: info.name.clone(),
        version: info.version.clone(),
        origin: rules.origin().into(),
        since,
    }
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
