//! Evaluates the module that the source has: compares it, makes it active, tries it, or leaves it to the operator.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Report;
use super::controller::{AGAIN, RolloutController, record};
use super::loader::{aside, compile};
use super::module_set::ModuleSet;
use super::module_state::{Canary, ModuleEventKind, PendingApproval};
use super::policy::{Decision, Objections};
use super::shadow::shadow;
use crate::converter::{Identity, LoadedModule};
use crate::percent::Percent;
use crate::source::ModuleBytes;
use crate::state::StateError;

impl RolloutController {
    /// Evaluates the module that the source has, with the parameters that are set.
    pub(super) async fn evaluate(&mut self) {
        self.again = None;
        let Some(offered) = self.offered.clone().filter(|_| *self.leads.borrow()) else { return };
        let identity = Identity::new(offered.digest, &self.parameters);
        let set = self.modules.module_set();
        let is_canary = set.canary.as_ref().is_some_and(|(canary, _)| **canary.identity() == identity);
        if is_canary {
            return;
        }
        let is_active = **set.active.identity() == identity && !self.lost;
        self.withdraw(&identity).await;
        if is_active {
            return;
        }
        let Some(module) = self.prepare(offered, &identity).await else { return };
        let report = self.compare(&module).await;
        self.candidate = Some(Arc::clone(&module));
        let objections = self.objections(&identity, &report);
        if objections.is_empty() {
            self.adopt(module, report).await;
        } else {
            self.await_approval(&module, report, objections).await;
        }
    }

    /// Drops a candidate and a canary that the source does not have any more.
    async fn withdraw(&mut self, offered: &Identity) {
        let state = self.module_state();
        let candidate = state.candidate.is_some_and(|pending| pending.module.identity != *offered);
        if !candidate && state.canary.is_none() {
            return;
        }
        info!("the module's source has another module now; the candidate is dropped");
        self.candidate = None;
        let now = Timestamp::now();
        if let Err(error) = self.loader.keeper.update(|state, _| state.module.withdraw(now)).await {
            return self.retry_later(&error);
        }
        self.leave_canary();
    }

    /// Checks and compiles a module, unless that was done before.
    async fn prepare(&mut self, offered: ModuleBytes, identity: &Identity) -> Option<Arc<LoadedModule>> {
        if let Some(known) = self.candidate.as_ref().filter(|known| **known.identity() == *identity) {
            return Some(Arc::clone(known));
        }
        let origin = offered.origin.clone();
        info!(module = %identity, from = origin, "comparing a new module with the active one");
        match compile(&self.modules.active(), offered, identity.parameters()).await {
            Ok(module) => Some(module),
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
                    warn!("refusal not recorded: {error}");
                }
                None
            }
        }
    }

    /// Compares a candidate with the active module or, if that is lost, with the content of the entries.
    pub(super) async fn compare(&self, candidate: &Arc<LoadedModule>) -> Report {
        let snapshots = self.engine.as_ref().map(|engine| engine.entry_snapshots()).unwrap_or_default();
        let active = (!self.lost).then(|| self.modules.active());
        let candidate = Arc::clone(candidate);
        let runtime = tokio::runtime::Handle::current();
        let compared = aside(move || shadow(&runtime, active.as_deref(), &candidate, &snapshots)).await;
        compared.unwrap_or_else(|problem| {
            error!("comparison failed: {problem}");
            Report { uncompared: 1, ..Report::default() }
        })
    }

    fn objections(&self, identity: &Identity, report: &Report) -> Objections {
        let mut objections = self.policy.objections(report);
        if let Some(refused) = self.module_state().refusal(identity) {
            objections.standing.insert(0, format!("it was refused before: {}", refused.reason));
        }
        objections
    }

    /// Makes a module to which there is no objection the active one, or the canary.
    async fn adopt(&mut self, module: Arc<LoadedModule>, report: Report) {
        let taken = match self.policy.decision {
            // Without an approved module no module could serve the other entries.
            Decision::Canary(share) if !self.lost => self.start_canary(module, share, &report).await,
            _ => self.switch(module, report.to_string()).await,
        };
        if let Err(error) = taken {
            self.retry_later(&error);
        }
    }

    async fn await_approval(&mut self, module: &Arc<LoadedModule>, report: Report, objections: Objections) {
        let all = objections.all();
        if objections.standing.is_empty() {
            self.again = Some(Instant::now() + AGAIN);
        }
        let now = Timestamp::now();
        let known = self.module_state().candidate;
        let known = known.filter(|known| known.module.identity == **module.identity() && known.objections == all);
        if known.is_none() {
            warn!(
                module = %module.identity(),
                "the module waits for a person (`module diff`, `module promote`, `module reject`): {}. {report}",
                all.join("; ")
            );
        }
        let since = known.map_or(now, |known| known.module.since);
        let pending = PendingApproval { module: record(module, since), objections: all, report };
        if let Err(error) = self.loader.keeper.update(|state, _| state.module.await_approval(pending.clone())).await {
            self.retry_later(&error);
        }
    }

    async fn start_canary(
        &mut self,
        module: Arc<LoadedModule>,
        share: Percent,
        report: &Report,
    ) -> Result<(), StateError> {
        let now = Timestamp::now();
        let time = SignedDuration::try_from(self.policy.canary_time).unwrap_or(SignedDuration::MAX);
        let until = now.saturating_add(time).unwrap_or(Timestamp::MAX);
        let canary = Canary { module: record(&module, now), share, until };
        let detail = format!("{share} of the entries until {until}. {report}");
        self.write_down(&module, |state| state.module.start_canary(canary.clone(), detail.clone())).await?;
        info!(module = %module.identity(), "canary started on {detail}");
        let set = self.modules.module_set();
        let previous = set.previous.clone();
        let canary = Some((module, share));
        self.modules.install(ModuleSet { canary, previous, ..ModuleSet::of(Arc::clone(&set.active)) });
        self.requeue_all();
        Ok(())
    }

    /// Makes a module the active one.
    pub(super) async fn switch(&mut self, module: Arc<LoadedModule>, detail: String) -> Result<(), StateError> {
        let entry = record(&module, Timestamp::now());
        self.write_down(&module, |state| state.module.switch(entry.clone(), detail.clone())).await?;
        let info = module.info();
        info!(module = %module.identity(), name = info.name, version = info.version, "module changed: {detail}");
        if self.lost {
            self.modules.install(ModuleSet::of(module));
        } else {
            self.modules.switch(module, self.policy.probation);
        }
        (self.candidate, self.again, self.lost) = (None, None, false);
        self.set_module_missing(false);
        self.requeue_all();
        Ok(())
    }

    /// Changes the shared state, together with the modules that it names.
    pub(super) async fn write_down(
        &self,
        module: &LoadedModule,
        change: impl Fn(&mut super::SharedState),
    ) -> Result<(), StateError> {
        self.loader.keep(module);
        let contents = [module.bytes().clone(), self.modules.active().bytes().clone()];
        let update = self.loader.keeper.update(|state, blobs| {
            change(state);
            let state = &state.module;
            let canary = state.canary.as_ref().map(|canary| &canary.module);
            let records = [state.active.as_ref(), state.previous.as_ref(), canary];
            let wanted: Vec<_> = records.into_iter().flatten().map(|record| record.identity.module).collect();
            for ModuleBytes { digest, bytes, .. } in &contents {
                blobs.insert(*digest, bytes.clone());
            }
            blobs.retain(|digest, _| wanted.contains(digest));
        });
        update.await
    }

    fn retry_later(&mut self, error: &StateError) {
        error!("module change postponed: {error}");
        self.again = Some(Instant::now() + if error.is_passing() { AGAIN } else { Duration::from_secs(60) });
    }
}
