//! What becomes of a module that the source has: compared, taken, tried, or left for a person.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Report;
use super::controller::{AGAIN, RolloutController, named};
use super::loader::{aside, compile};
use super::module_set::ModuleSet;
use super::module_state::{Canary, ModuleEventKind, PendingApproval};
use super::policy::{Decision, Objections};
use super::shadow::shadow;
use crate::converter::Identity;
use crate::converter::LoadedModule;
use crate::percent::Percent;
use crate::source::ModuleBytes;
use crate::state::StateError;

impl RolloutController {
    /// Looks at what the source has, with the parameters that are set.
    pub(super) async fn consider(&mut self) {
        self.again = None;
        let Some(offered) = self.offered.clone().filter(|_| *self.leads.borrow()) else { return };
        let identity = Identity::new(offered.digest, &self.parameters);
        let lineup = self.live.lineup();
        let is_canary = lineup.canary.as_ref().is_some_and(|(canary, _)| **canary.identity() == identity);
        if is_canary {
            return;
        }
        let is_active = **lineup.active.identity() == identity && !self.lost;
        self.withdraw(&identity).await;
        if is_active {
            return;
        }
        let Some(rules) = self.prepare(offered, &identity).await else { return };
        let report = self.compare(&rules).await;
        self.candidate = Some(Arc::clone(&rules));
        let objections = self.objections(&identity, &report);
        if objections.is_empty() {
            self.take(rules, report).await;
        } else {
            self.wait(&rules, report, objections).await;
        }
    }

    /// Forgets a candidate and a canary that the source does not have any more.
    async fn withdraw(&mut self, offered: &Identity) {
        let ledger = self.ledger();
        let candidate = ledger.candidate.is_some_and(|waiting| waiting.rules.identity != *offered);
        if !candidate && ledger.canary.is_none() {
            return;
        }
        info!("the module's source has another module now; the candidate is dropped");
        self.candidate = None;
        let now = Timestamp::now();
        if let Err(error) = self.loader.keeper.update(|state, _| state.module.withdraw(now)).await {
            return self.not_saved(&error);
        }
        self.leave_canary();
    }

    /// Checks and compiles, unless that was done.
    async fn prepare(&mut self, offered: ModuleBytes, identity: &Identity) -> Option<Arc<LoadedModule>> {
        if let Some(known) = self.candidate.as_ref().filter(|known| **known.identity() == *identity) {
            return Some(Arc::clone(known));
        }
        let origin = offered.origin.clone();
        info!(module = %identity, from = origin, "another module; comparing it with the one in use");
        match compile(&self.live.active(), offered, identity.parameters()).await {
            Ok(rules) => Some(rules),
            Err(error) => {
                error!(module = %identity, "refused, the module in use goes on: {error}");
                let (now, detail) = (Timestamp::now(), error.to_string());
                let note = self.loader.keeper.update(|state, _| {
                    let known = state.module.history.back().is_some_and(|event| {
                        event.what == ModuleEventKind::Unfit && event.identity == *identity && event.detail == detail
                    });
                    if !known {
                        state.module.note(
                            ModuleEventKind::Unfit,
                            identity.clone(),
                            origin.clone(),
                            detail.clone(),
                            now,
                        );
                    }
                });
                if let Err(error) = note.await {
                    warn!("not noted: {error}");
                }
                None
            }
        }
    }

    /// Compares with the active module or, where that is lost, with what the entries hold.
    pub(super) async fn compare(&self, candidate: &Arc<LoadedModule>) -> Report {
        let subjects = self.engine.as_ref().map(|engine| engine.subjects()).unwrap_or_default();
        let active = (!self.lost).then(|| self.live.active());
        let candidate = Arc::clone(candidate);
        let runtime = tokio::runtime::Handle::current();
        let compared = aside(move || shadow(&runtime, active.as_deref(), &candidate, &subjects)).await;
        compared.unwrap_or_else(|problem| {
            error!("not compared: {problem}");
            Report { uncompared: 1, ..Report::default() }
        })
    }

    fn objections(&self, identity: &Identity, report: &Report) -> Objections {
        let mut objections = self.policy.objections(report);
        if let Some(refused) = self.ledger().refusal(identity) {
            objections.standing.insert(0, format!("it was refused before: {}", refused.reason));
        }
        objections
    }

    /// Nothing speaks against it.
    async fn take(&mut self, rules: Arc<LoadedModule>, report: Report) {
        let taken = match self.policy.decision {
            // Without an approved module there is none that could serve the other entries.
            Decision::Canary(share) if !self.lost => self.try_out(rules, share, &report).await,
            _ => self.switch(rules, report.to_string()).await,
        };
        if let Err(error) = taken {
            self.not_saved(&error);
        }
    }

    async fn wait(&mut self, rules: &Arc<LoadedModule>, report: Report, objections: Objections) {
        let all = objections.all();
        if objections.standing.is_empty() {
            self.again = Some(Instant::now() + AGAIN);
        }
        let now = Timestamp::now();
        let known = self.ledger().candidate;
        let known = known.filter(|known| known.rules.identity == **rules.identity() && known.objections == all);
        if known.is_none() {
            warn!(
                module = %rules.identity(),
                "the module waits for a person (`module diff`, `module promote`, `module reject`): {}. {report}",
                all.join("; ")
            );
        }
        let since = known.map_or(now, |known| known.rules.since);
        let waiting = PendingApproval { rules: named(rules, since), objections: all, report };
        if let Err(error) = self.loader.keeper.update(|state, _| state.module.wait(waiting.clone())).await {
            self.not_saved(&error);
        }
    }

    async fn try_out(&mut self, rules: Arc<LoadedModule>, share: Percent, report: &Report) -> Result<(), StateError> {
        let now = Timestamp::now();
        let time = SignedDuration::try_from(self.policy.canary_time).unwrap_or(SignedDuration::MAX);
        let until = now.saturating_add(time).unwrap_or(Timestamp::MAX);
        let canary = Canary { rules: named(&rules, now), share, until };
        let detail = format!("{share} of the entries until {until}. {report}");
        self.write_down(&rules, |state| state.module.try_out(canary.clone(), detail.clone())).await?;
        info!(module = %rules.identity(), "the module is tried on {detail}");
        let lineup = self.live.lineup();
        let previous = lineup.previous.clone();
        let canary = Some((rules, share));
        self.live.install(ModuleSet { canary, previous, ..ModuleSet::of(Arc::clone(&lineup.active)) });
        self.requeue_all();
        Ok(())
    }

    /// Makes a module the active one.
    pub(super) async fn switch(&mut self, rules: Arc<LoadedModule>, detail: String) -> Result<(), StateError> {
        let entry = named(&rules, Timestamp::now());
        self.write_down(&rules, |state| state.module.switch(entry.clone(), detail.clone())).await?;
        let info = rules.info();
        info!(module = %rules.identity(), name = info.name, version = info.version, "module changed: {detail}");
        if self.lost {
            self.live.install(ModuleSet::of(rules));
        } else {
            self.live.switch(rules, self.policy.probation);
        }
        (self.candidate, self.again, self.lost) = (None, None, false);
        self.missing(false);
        self.requeue_all();
        Ok(())
    }

    /// Changes what is written down, with the modules that it speaks of.
    pub(super) async fn write_down(
        &self,
        rules: &LoadedModule,
        change: impl Fn(&mut super::SharedState),
    ) -> Result<(), StateError> {
        self.loader.keep(rules);
        let candidates = [rules.candidate().clone(), self.live.active().candidate().clone()];
        let update = self.loader.keeper.update(|state, blobs| {
            change(state);
            let ledger = &state.module;
            let canary = ledger.canary.as_ref().map(|canary| &canary.rules);
            let named = [ledger.active.as_ref(), ledger.previous.as_ref(), canary];
            let wanted: Vec<_> = named.into_iter().flatten().map(|named| named.identity.module).collect();
            for ModuleBytes { digest, bytes, .. } in &candidates {
                blobs.insert(*digest, bytes.clone());
            }
            blobs.retain(|digest, _| wanted.contains(digest));
        });
        update.await
    }

    fn not_saved(&mut self, error: &StateError) {
        error!("a change of modules has to wait: {error}");
        self.again = Some(Instant::now() + if error.is_passing() { AGAIN } else { Duration::from_secs(60) });
    }
}
