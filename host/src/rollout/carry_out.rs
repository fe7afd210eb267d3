//! Carries out the operator's commands about modules.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::command::Command;
use super::controller::{AGAIN, RolloutController};
use super::loader::compile;
use super::module_set::ModuleSet;
use crate::converter::Identity;
use crate::state::StateError;

const NONE: &str = "there is no candidate; another module at the source, or other parameters, make one";

impl RolloutController {
    pub(super) async fn carry_out(&mut self, command: Command) -> Result<Value, String> {
        match command {
            Command::Diff => self.diff().await,
            Command::Promote => self.promote().await,
            Command::Reject => self.reject().await,
            Command::Rollback => self.roll_back("by command").await,
        }
    }

    async fn diff(&mut self) -> Result<Value, String> {
        let set = self.modules.module_set();
        let canary = set.canary.as_ref().map(|(canary, _)| canary);
        let module = self.candidate.clone().or_else(|| canary.cloned()).ok_or(NONE)?;
        let report = self.compare(&module).await;
        Ok(json!({"active": **set.active.identity(), "candidate": **module.identity(), "report": report}))
    }

    async fn promote(&mut self) -> Result<Value, String> {
        let set = self.modules.module_set();
        let module = match (&self.candidate, &set.canary, &self.offered) {
            (Some(candidate), _, _) => Arc::clone(candidate),
            (None, Some((canary, _)), _) => Arc::clone(canary),
            // A refused module is no candidate, but the operator may still promote it.
            (None, None, Some(offered)) => {
                let identity = Identity::new(offered.digest, &self.parameters);
                if *set.active.identity().as_ref() == identity && !self.lost {
                    return Err(NONE.into());
                }
                let compiled = compile(&set.active, offered.clone(), self.parameters.clone()).await;
                compiled.map_err(|error| error.to_string())?
            }
            (None, None, None) => return Err(NONE.into()),
        };
        let identity = Arc::clone(module.identity());
        if let Some(engine) = &self.engine {
            engine.promoted();
        }
        self.switch(module, "by command".into()).await.map_err(|error| error.to_string())?;
        Ok(json!({"active": *identity}))
    }

    async fn reject(&mut self) -> Result<Value, String> {
        let now = Timestamp::now();
        let rejected = self.loader.keeper.update(|state, _| state.module.reject("by command", now)).await;
        let rejected = rejected.map_err(|error| error.to_string())?.ok_or(NONE)?;
        info!(module = %rejected.identity, "the candidate was rejected");
        (self.candidate, self.again) = (None, None);
        self.leave_canary();
        Ok(json!({"rejected": rejected.identity}))
    }

    /// Goes back: from the canary, or else from the active module to the one before.
    pub(super) async fn roll_back(&mut self, reason: &str) -> Result<Value, String> {
        let set = self.modules.module_set();
        let (left, back) = if let Some((canary, _)) = &set.canary {
            (Arc::clone(canary.identity()), Arc::clone(&set.active))
        } else {
            let previous = self.module_state().previous.ok_or("no module was active before this one")?;
            let back = self.find_or_load(&previous.identity).await;
            let lost = || format!("the module before, {}, is not to be had any more", previous.identity);
            (Arc::clone(set.active.identity()), back.ok_or_else(lost)?)
        };
        // The roll-back itself comes first. If it cannot be written down now, that is tried again.
        self.modules.install(ModuleSet { left: Some(Arc::clone(&left)), ..ModuleSet::of(Arc::clone(&back)) });
        (self.candidate, self.again) = (None, None);
        warn!(from = %left, to = %back.identity(), "module rolled back: {reason}");
        self.requeue_all();
        self.unwritten = Some(reason.into());
        if let Err(error) = self.write_roll_back().await {
            error!("the module was rolled back, but that is not recorded yet: {error}");
        }
        Ok(json!({"active": **back.identity(), "refused": *left}))
    }

    /// Writes down that the module was rolled back, if that is still to be done.
    pub(super) async fn write_roll_back(&mut self) -> Result<(), StateError> {
        let Some(reason) = self.unwritten.clone() else { return Ok(()) };
        self.again = Some(Instant::now() + AGAIN);
        let now = Timestamp::now();
        self.write_down(&self.modules.active(), |state| drop(state.module.roll_back(&reason, now))).await?;
        (self.unwritten, self.again) = (None, None);
        Ok(())
    }

    /// Gives the canary's entries back to the active module.
    pub(super) fn leave_canary(&self) {
        let set = self.modules.module_set();
        if let Some((canary, _)) = &set.canary {
            let left = Some(Arc::clone(canary.identity()));
            self.modules.install(ModuleSet { left, ..ModuleSet::of(Arc::clone(&set.active)) });
            self.requeue_all();
        }
    }
}
