//! Evaluates the module that the source has: compares it, makes it active, tries it, or leaves it to the operator.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Report;
use super::controller::{AGAIN, RolloutController, record};
use super::evaluation::{Evaluated, Evaluation};
use super::module_set::ModuleSet;
use super::module_state::{Canary, ModuleEventKind, PendingApproval};
use super::policy::{Decision, Objections};
use crate::converter::{Identity, LoadError, LoadedModule};
use crate::digest::Digest;
use crate::percent::Percent;
use crate::source::ModuleBytes;
use crate::state::{Blobs, CARRIED, StateError};
use crate::text;

/// The longest reason for a refusal that is logged, in characters.
const PROBLEM: usize = 1_000;
/// The reason for not trying a module again.
const DEADLY: &str = "the process that loaded it last ended before it was done, so it is not tried again by itself; its log says why it ended, \
     and `module promote` tries it all the same";

impl RolloutController {
    /// Evaluates the module that the source has, with the parameters that are set.
    pub(super) async fn evaluate(&mut self) {
        self.again = None;
        let Some(offered) = self.offered.clone().filter(|_| *self.leads.borrow()) else {
            self.evaluation = None;
            return self.note_loaded().await;
        };
        let identity = Identity::new(offered.digest, &self.parameters);
        let set = self.modules.module_set();
        let is_canary = set.canary.as_ref().is_some_and(|(canary, _)| **canary.identity() == identity);
        if is_canary {
            return;
        }
        let is_active = **set.active.identity() == identity && !self.lost;
        self.withdraw(&identity).await;
        if is_active {
            (self.candidate, self.evaluation) = (None, None);
            return self.note_loaded().await;
        }
        if self.evaluation.as_ref().is_none_or(|under_way| under_way.identity != identity) {
            self.begin(offered, identity).await;
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
        self.modules.stats().count(ModuleEventKind::Withdrawn);
        self.candidate = None;
        let now = Timestamp::now();
        if let Err(error) = self.loader.keeper.update(|state, _| state.module.withdraw(now)).await {
            return self.retry_later(&error);
        }
        if let Some(canary) = &state.canary {
            self.leave_canary(&canary.module.identity);
        }
    }

    /// Begins to check, compile and compare a module, unless a process has died of it.
    async fn begin(&mut self, offered: ModuleBytes, identity: Identity) {
        let known = self.candidate.clone().filter(|known| **known.identity() == identity);
        if known.is_none() {
            if self.is_deadly(&identity, &offered.origin).await {
                return;
            }
            info!(module = %identity, from = offered.origin, "comparing a new module with the active one");
            self.note_loaded().await;
            if let Err(error) = self.loader.note_loading(&identity, true).await {
                return self.retry_later(&error);
            }
        }
        self.evaluation = Some(Evaluation::begin(self.sides(), known, offered, self.parameters.clone()));
    }

    /// Whether a process ended while it loaded this module: then it is not tried again by itself.
    async fn is_deadly(&mut self, identity: &Identity, origin: &str) -> bool {
        let state = self.module_state();
        if state.refusal(identity).is_none_or(|refused| !refused.deadly) {
            if !state.is_deadly(identity, &self.loader.process) {
                return false;
            }
            let now = Timestamp::now();
            error!(module = %identity, "refused: {DEADLY}");
            self.modules.stats().count(ModuleEventKind::Unfit);
            let note = self.loader.keeper.update(|state, _| state.module.note_deadly(identity, origin, DEADLY, now));
            if let Err(error) = note.await {
                self.retry_later(&error);
            }
        }
        self.modules.stats().note_trouble(&format!("module {origin}, {identity}: {DEADLY}"));
        true
    }

    /// Notes that this process has survived what it loaded.
    async fn note_loaded(&mut self) {
        let note = self.loader.keeper.update(|state, _| state.module.end_all_loading(&self.loader.process)).await;
        if let Err(error) = note {
            self.retry_later(&error);
        }
    }

    /// Decides on the module that was evaluated.
    pub(super) async fn conclude(&mut self, evaluated: Evaluated) {
        let Some(evaluation) = self.evaluation.take() else { return };
        self.note_loaded().await;
        let (module, report) = match evaluated {
            Ok(evaluated) => evaluated,
            Err(error) => return self.refuse(&evaluation.identity, &evaluation.origin, &error).await,
        };
        self.candidate = Some(Arc::clone(&module));
        // What was decided meanwhile counts: it was compared with another module, or is not offered any more.
        if !*self.leads.borrow() || evaluation.active != *self.modules.active().identity() {
            return self.evaluate().await;
        }
        let objections = self.objections(module.identity(), &report);
        if objections.is_empty() {
            self.adopt(module, report).await;
        } else {
            self.await_approval(&module, report, objections).await;
        }
    }

    /// Refuses what is no module of ours.
    async fn refuse(&mut self, identity: &Identity, origin: &str, error: &LoadError) {
        let problem = text::shown(&error.to_string(), PROBLEM);
        error!(module = %identity, "refused, the module in use goes on: {problem}");
        self.modules.stats().note_trouble(&problem);
        self.modules.stats().count(ModuleEventKind::Unfit);
        let now = Timestamp::now();
        let note = self.loader.keeper.update(|state, _| state.module.note_unfit(identity, origin, &problem, now));
        if let Err(error) = note.await {
            warn!("refusal not recorded: {error}");
        }
    }

    fn objections(&self, identity: &Identity, report: &Report) -> Objections {
        // What was registered while the approved module is lost is no addition of this one.
        let added = if self.lost { 0 } else { report.added };
        let mut objections = self.policy.objections(&Report { added, ..report.clone() });
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
            let name = module.identity().handle();
            self.modules.stats().count(ModuleEventKind::Waits);
            warn!(
                module = %module.identity(),
                "the module waits for a person (`module diff`, `module promote {name}`, `module reject {name}`): {}. {report}",
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
        self.modules.stats().count(ModuleEventKind::Canary);
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
        self.modules.stats().count(ModuleEventKind::Switched);
        self.modules.stats().end_trouble();
        let info = module.info();
        info!(module = %module.identity(), name = info.name, version = info.version, "module changed: {detail}");
        if self.lost {
            self.modules.install(ModuleSet::of(module));
        } else {
            self.modules.switch(module, self.policy.probation);
        }
        (self.candidate, self.again, self.evaluation, self.lost) = (None, None, None, false);
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
            let canary = state.module.canary.as_ref().map(|canary| &canary.module);
            let records = state.module.active.iter().chain(canary).chain(&state.module.earlier);
            for ModuleBytes { digest, bytes, .. } in &contents {
                blobs.insert(*digest, bytes.clone());
            }
            carry(blobs, records.map(|record| record.identity.module));
        });
        update.await
    }

    fn retry_later(&mut self, error: &StateError) {
        error!("module change postponed: {error}");
        self.again = Some(Instant::now() + if error.is_passing() { AGAIN } else { Duration::from_secs(60) });
    }
}

/// Keeps of the contents that the document carries along those that fit, the most important first.
fn carry(blobs: &mut Blobs, wanted: impl Iterator<Item = Digest>) {
    let (mut room, mut kept) = (CARRIED, Vec::new());
    for digest in wanted {
        let Some(size) = blobs.get(&digest).map(|bytes| bytes.len()).filter(|size| *size <= room) else { continue };
        if !kept.contains(&digest) {
            room -= size;
            kept.push(digest);
        }
    }
    blobs.retain(|digest, _| kept.contains(digest));
}
