//! What a person can tell a change of modules.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::controller::{AGAIN, RolloutController};
use super::loader::compile;
use super::module_set::ModuleSet;
use crate::converter::Identity;
use crate::state::StateError;

/// A command that the leader carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Compare the candidate with the active module over all entries, now.
    Diff,
    /// Take the candidate, whatever its report says; also one that was refused.
    Promote,
    /// Drop the candidate, and do not take it up again.
    Reject,
    /// Go back to the module that was active before.
    Rollback,
}

const NONE: &str = "there is no candidate; another module at the source, or other parameters, make one";

impl RolloutController {
    pub(super) async fn obey(&mut self, command: Command) -> Result<Value, String> {
        match command {
            Command::Diff => self.diff().await,
            Command::Promote => self.promote().await,
            Command::Reject => self.reject().await,
            Command::Rollback => self.roll_back("by command").await,
        }
    }

    async fn diff(&mut self) -> Result<Value, String> {
        let lineup = self.live.lineup();
        let canary = lineup.canary.as_ref().map(|(canary, _)| canary);
        let rules = self.candidate.clone().or_else(|| canary.cloned()).ok_or(NONE)?;
        let report = self.compare(&rules).await;
        Ok(json!({"active": **lineup.active.identity(), "candidate": **rules.identity(), "report": report}))
    }

    async fn promote(&mut self) -> Result<Value, String> {
        let lineup = self.live.lineup();
        let rules = match (&self.candidate, &lineup.canary, &self.offered) {
            (Some(candidate), _, _) => Arc::clone(candidate),
            (None, Some((canary, _)), _) => Arc::clone(canary),
            // One that was refused is no candidate, but may be had.
            (None, None, Some(offered)) => {
                let identity = Identity::new(offered.digest, &self.parameters);
                if *lineup.active.identity().as_ref() == identity && !self.lost {
                    return Err(NONE.into());
                }
                let compiled = compile(&lineup.active, offered.clone(), self.parameters.clone()).await;
                compiled.map_err(|error| error.to_string())?
            }
            (None, None, None) => return Err(NONE.into()),
        };
        let identity = Arc::clone(rules.identity());
        if let Some(engine) = &self.engine {
            engine.promoted();
        }
        self.switch(rules, "by command".into()).await.map_err(|error| error.to_string())?;
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
        let lineup = self.live.lineup();
        let (left, back) = if let Some((canary, _)) = &lineup.canary {
            (Arc::clone(canary.identity()), Arc::clone(&lineup.active))
        } else {
            let previous = self.ledger().previous.ok_or("no module was active before this one")?;
            let back = self.get(&previous.identity).await;
            let lost = || format!("the module before, {}, is not to be had any more", previous.identity);
            (Arc::clone(lineup.active.identity()), back.ok_or_else(lost)?)
        };
        // Going back comes first: what cannot be written down now is tried again.
        self.live.install(ModuleSet { left: Some(Arc::clone(&left)), ..ModuleSet::of(Arc::clone(&back)) });
        (self.candidate, self.again) = (None, None);
        warn!(from = %left, to = %back.identity(), "module rolled back: {reason}");
        self.requeue_all();
        self.unwritten = Some(reason.into());
        if let Err(error) = self.write_roll_back().await {
            error!("the module was rolled back, but that could not be written down yet: {error}");
        }
        Ok(json!({"active": **back.identity(), "refused": *left}))
    }

    /// Writes down that the module was rolled back, if that is still to be done.
    pub(super) async fn write_roll_back(&mut self) -> Result<(), StateError> {
        let Some(reason) = self.unwritten.clone() else { return Ok(()) };
        self.again = Some(Instant::now() + AGAIN);
        let now = Timestamp::now();
        self.write_down(&self.live.active(), |state| drop(state.module.roll_back(&reason, now))).await?;
        (self.unwritten, self.again) = (None, None);
        Ok(())
    }

    /// Gives the canary's entries back to the active module.
    pub(super) fn leave_canary(&self) {
        let lineup = self.live.lineup();
        if let Some((canary, _)) = &lineup.canary {
            let left = Some(Arc::clone(canary.identity()));
            self.live.install(ModuleSet { left, ..ModuleSet::of(Arc::clone(&lineup.active)) });
            self.requeue_all();
        }
    }
}
