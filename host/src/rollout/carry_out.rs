//! Carries out the operator's commands about modules, and rolls back what fails.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::controller::{AGAIN, RolloutController, record};
use super::evaluation::{Sides, Stop};
use super::loader::compile;
use super::module_set::ModuleSet;
use super::module_state::{ModuleEventKind, ModuleRecord};
use super::{Command, Giver, ModuleName, ModuleState, Request, SharedState};
use crate::converter::{Identity, LoadedModule};
use crate::state::StateError;

/// The reason for leaving a module that was in use.
const ENDED: &str = "processes ended while they loaded it, again and again, so it is not tried any more by itself; their logs say why they ended";
const NONE: &str = "there is no candidate; another module at the source, or other parameters, make one";

/// A roll-back: which module was left, for which one, and why.
#[derive(Clone)]
pub(super) struct RollBack {
    left: Arc<Identity>,
    to: ModuleRecord,
    reason: String,
    /// Whether processes ended of the module that was left.
    deadly: bool,
}

impl RolloutController {
    /// Carries out a command and answers it, unless its giver is gone: what was refused to somebody is not done later.
    pub(super) async fn carry_out(&mut self, request: Request) {
        let Request { command, by, reply } = request;
        if reply.is_closed() {
            return info!("a command that nobody waits for any more is not carried out; it was given {by}");
        }
        let result = match command {
            Command::Diff => return self.diff(reply),
            Command::Promote(name) => self.promote(&name, &by).await,
            Command::Reject(name) => self.reject(&name, &by).await,
            Command::Rollback(name) => self.go_back(&name, &by).await,
        };
        // The caller may be gone by now.
        let _ = reply.send(result);
    }

    /// Compares beside the rollout: a command that comes meanwhile does not wait for it.
    fn diff(&mut self, reply: oneshot::Sender<Result<Value, String>>) {
        let set = self.modules.module_set();
        let canary = set.canary.as_ref().map(|(canary, _)| canary);
        let Some(module) = self.candidate.clone().or_else(|| canary.cloned()) else {
            let _ = reply.send(Err(self.nothing_to_compare()));
            return;
        };
        let sides = self.sides();
        tokio::spawn(async move {
            let stop = Stop::default();
            let report = sides.compare(&module, stop.flag()).await;
            let (active, candidate) = (sides.active.identity(), module.identity());
            let _ = reply.send(Ok(json!({"active": **active, "candidate": **candidate, "report": report})));
        });
    }

    fn nothing_to_compare(&self) -> String {
        match &self.evaluation {
            Some(evaluation) => {
                format!("{} is still being compiled and compared; ask again when it is", evaluation.identity.handle())
            }
            None => NONE.into(),
        }
    }

    pub(super) fn sides(&self) -> Sides {
        Sides { engine: self.engine.clone(), active: self.modules.active(), lost: self.lost }
    }

    async fn promote(&mut self, name: &ModuleName, by: &Giver) -> Result<Value, String> {
        let set = self.modules.module_set();
        let fits = |module: &&Arc<LoadedModule>| name.fits(module.identity());
        let canary = set.canary.as_ref().map(|(canary, _)| canary);
        if let Some(module) = self.candidate.as_ref().filter(fits).or(canary.filter(fits)).cloned() {
            return self.take_over(module, by).await;
        }
        if name.fits(set.active.identity()) && !self.lost {
            // What it does is approved: what is held because it drops it may go.
            self.accept(set.active.identity());
            info!(module = %set.active.identity(), "the module in use was approved {by}");
            return Ok(json!({"active": **set.active.identity()}));
        }
        // A refused module is no candidate, but the operator may still promote it.
        let offered =
            self.offered.clone().filter(|offered| name.fits(&Identity::new(offered.digest, &self.parameters)));
        let Some(offered) = offered else { return Err(self.none_of(name)) };
        let identity = Identity::new(offered.digest, &self.parameters);
        let compile = compile(&set.active, offered, self.parameters.clone());
        let module = self.loader.noted(&identity, compile).await.map_err(|error| error.to_string())?;
        self.take_over(module, by).await
    }

    async fn take_over(&mut self, module: Arc<LoadedModule>, by: &Giver) -> Result<Value, String> {
        let identity = Arc::clone(module.identity());
        self.accept(&identity);
        self.switch(module, by.to_string()).await.map_err(|error| error.to_string())?;
        Ok(json!({"active": *identity}))
    }

    fn accept(&self, module: &Identity) {
        if let Some(engine) = &self.engine {
            engine.promoted(module);
        }
    }

    async fn reject(&mut self, name: &ModuleName, by: &Giver) -> Result<Value, String> {
        let (now, reason) = (Timestamp::now(), by.to_string());
        let rejected = self.loader.keeper.update(|state, _| state.module.reject(name, &reason, now)).await;
        let rejected = rejected.map_err(|error| error.to_string())?.ok_or_else(|| self.none_of(name))?;
        info!(module = %rejected.identity, "the candidate was rejected {by}");
        self.modules.stats().count(ModuleEventKind::Rejected);
        (self.candidate, self.again, self.evaluation) = (None, None, None);
        self.leave_canary(&rejected.identity);
        Ok(json!({"rejected": rejected.identity}))
    }

    /// Why a name is refused that nothing has which waits, and what there is instead.
    fn none_of(&self, name: &ModuleName) -> String {
        let state = self.module_state();
        if let Some(evaluation) = self.evaluation.as_ref().filter(|evaluation| name.fits(&evaluation.identity)) {
            return format!(
                "{} is still being compiled and compared; wait for its report",
                evaluation.identity.handle()
            );
        }
        let there_is = match state.waiting() {
            Some(waiting) => format!("the one that waits is {}; look at it with `module diff` first", waiting.handle()),
            None if state.earlier.iter().any(|record| name.fits(&record.identity)) => {
                format!("{NONE}. That one ran before: `module rollback {name}` goes back to it")
            }
            None => NONE.into(),
        };
        format!("no module called {name} waits; {there_is}")
    }

    /// Goes back to a module that was active before, or from the canary to the active one.
    async fn go_back(&mut self, name: &ModuleName, by: &Giver) -> Result<Value, String> {
        let (set, state) = (self.modules.module_set(), self.module_state());
        if name.fits(set.active.identity()) {
            let Some((canary, _)) = &set.canary else { return Err(format!("{name} is the module in use already")) };
            let (left, to) = (Arc::clone(canary.identity()), Arc::clone(&set.active));
            return Ok(self.roll_back(left, to, by.to_string(), false).await);
        }
        let Some(earlier) = state.earlier.iter().find(|record| name.fits(&record.identity)) else {
            return Err(format!("no module called {name} ran before; {}", ran(&state)));
        };
        let to = self.find_or_load(&earlier.identity).await;
        let to =
            to.ok_or_else(|| format!("the module {} is not to be had any more; {}", earlier.identity, ran(&state)))?;
        Ok(self.roll_back(Arc::clone(set.active.identity()), to, by.to_string(), false).await)
    }

    /// Rolls back a module that fails too often, without asking the operator. It is that module, or nothing happens.
    pub(super) async fn roll_back_failing(&mut self, failing: &Arc<Identity>) {
        if !*self.leads.borrow() {
            return;
        }
        let set = self.modules.module_set();
        let is_canary = set.canary.as_ref().is_some_and(|(canary, _)| canary.identity() == failing);
        let back = if is_canary { Some(&set.active) } else { set.judge().filter(|_| set.active.identity() == failing) };
        if let Some(back) = back {
            let reason = "it failed, or rejected what the one before converts, too often";
            self.roll_back(Arc::clone(failing), Arc::clone(back), reason.into(), false).await;
        }
    }

    /// Goes back from the approved module, if processes ended here while they loaded it, to the one that runs in its place.
    pub(super) async fn leave_deadly(&mut self) {
        let Some(deadly) = self.deadly.take_if(|_| *self.leads.borrow()) else { return };
        if self.module_state().active.is_some_and(|active| active.identity == deadly) {
            self.lost = false;
            self.set_module_missing(false);
            let to = self.modules.active();
            self.roll_back(Arc::new(deadly), to, ENDED.into(), true).await;
        }
    }

    async fn roll_back(&mut self, left: Arc<Identity>, to: Arc<LoadedModule>, reason: String, deadly: bool) -> Value {
        let set = self.modules.module_set();
        // The roll-back itself comes first. If it cannot be written down now, that is tried again.
        let previous = set.previous.clone().filter(|_| to.identity() == set.active.identity());
        self.modules.install(ModuleSet { left: Some(Arc::clone(&left)), previous, ..ModuleSet::of(Arc::clone(&to)) });
        self.requeue_all();
        warn!(from = %left, to = %to.identity(), "module rolled back: {reason}");
        self.modules.stats().count(ModuleEventKind::RolledBack);
        (self.candidate, self.again, self.evaluation) = (None, None, None);
        let answer = json!({"active": **to.identity(), "refused": *left});
        self.unwritten = Some(RollBack { left, to: record(&to, Timestamp::now()), reason, deadly });
        if let Err(error) = self.write_roll_back().await {
            error!("the module was rolled back, but that is not recorded yet: {error}");
        }
        answer
    }

    /// Writes down that the module was rolled back, if that is still to be done.
    pub(super) async fn write_roll_back(&mut self) -> Result<(), StateError> {
        let Some(RollBack { left, to, reason, deadly }) = self.unwritten.clone() else { return Ok(()) };
        self.again = Some(Instant::now() + AGAIN);
        let now = Timestamp::now();
        let change = |state: &mut SharedState| state.module.roll_back(&left, &to, &reason, deadly, now);
        self.write_down(&self.modules.active(), change).await?;
        (self.unwritten, self.again) = (None, None);
        Ok(())
    }

    /// Gives a canary's entries back to the active module.
    pub(super) fn leave_canary(&self, left: &Identity) {
        let set = self.modules.module_set();
        if let Some((canary, _)) = set.canary.as_ref().filter(|(canary, _)| **canary.identity() == *left) {
            let (left, previous) = (Some(Arc::clone(canary.identity())), set.previous.clone());
            self.modules.install(ModuleSet { left, previous, ..ModuleSet::of(Arc::clone(&set.active)) });
            self.requeue_all();
        }
    }
}

/// The names of the modules that can be gone back to, in words.
fn ran(state: &ModuleState) -> String {
    let names: Vec<_> = state.earlier.iter().map(|record| record.identity.handle()).collect();
    match names.as_slice() {
        [] => "no module was active before this one".into(),
        names => format!("those that did: {}", names.join(", ")),
    }
}
