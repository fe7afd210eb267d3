//! One `convert` for the engine, whichever modules are in use: the active one, a canary on its share, and for a while after
//! a change the one before, which serves the entries whose turn has not come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use polaris2istio_core::model::{Entry, Outcome, Service, Update, Verdict};
use tokio::sync::Notify;
use tracing::warn;

use super::module_set::{Choice, ModuleSet};
use crate::converter::Identity;
use crate::converter::{CallError, LoadedModule};
use crate::title::title;

/// The modules in use.
pub struct ActiveModules {
    lineup: ArcSwap<ModuleSet>,
    /// Strikes beyond which the newest module is taken back.
    most_strikes: u32,
    struck_out: Notify,
}

/// What is remembered of the content that an entry holds.
#[derive(Clone, Debug, Default)]
pub struct LastPublished {
    /// Who gave it.
    pub by: Option<Arc<Identity>>,
    /// What he called it, if the entry still holds just that.
    pub revision: Option<String>,
}

/// An outcome, and who gave it.
#[derive(Debug)]
pub struct Conversion {
    /// The outcome.
    pub outcome: Outcome,
    /// The module with its parameters.
    pub by: Arc<Identity>,
    /// Whose turn it was.
    pub turn: RolloutPhase,
}

/// How an outcome stands to a change of modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutPhase {
    /// It is of the module that is to convert this entry.
    Taken,
    /// It is of the module that converted the entry so far: the change of this entry has to wait.
    Waits,
    /// It is of the module that a roll-back went back to, for an entry that the other one had changed.
    Restored,
}

impl ActiveModules {
    /// Begins with one module. After more than `most_strikes` calls that go wrong after a change, the change is undone.
    pub fn new(active: Arc<LoadedModule>, most_strikes: u32) -> Self {
        Self { lineup: ArcSwap::from_pointee(ModuleSet::of(active)), most_strikes, struck_out: Notify::new() }
    }

    /// The module that converts all entries but those of a canary.
    pub fn active(&self) -> Arc<LoadedModule> {
        Arc::clone(&self.lineup.load().active)
    }

    /// Converts one entry, wholly by one module.
    ///
    /// `admit` is asked before an entry gets its first outcome from another module than before: whether what that would
    /// change may be written now.
    ///
    /// # Errors
    ///
    /// The module gave no outcome, and there is none before it that would.
    pub async fn convert(
        &self,
        service: &Arc<Service>,
        entry: Entry,
        memory: LastPublished,
        admit: impl FnOnce(&Update) -> bool,
    ) -> Result<Conversion, CallError> {
        let lineup = self.lineup.load_full();
        let Choice { rules, judge } = lineup.choose(&entry);
        let call = Call { service, entry: Arc::new(entry), memory };
        let result = call.ask(rules).await;
        let held = call.memory.by.as_ref().filter(|by| *by != rules.identity());
        let restored = held.is_some_and(|by| lineup.left.as_ref() == Some(by));
        if let Ok(Outcome { verdict: Verdict::Update(update), .. }) = &result
            && let Some(before) = held.and_then(|by| lineup.find(by))
            && !restored
            && !admit(update)
        {
            let outcome = call.ask(before).await?;
            return Ok(Conversion { outcome, by: Arc::clone(before.identity()), turn: RolloutPhase::Waits });
        }
        if let Some(judge) = judge
            && let Some(better) = self.judge(&lineup, rules, judge, &call, &result).await
        {
            return Ok(better);
        }
        let turn = if restored { RolloutPhase::Restored } else { RolloutPhase::Taken };
        result.map(|outcome| Conversion { outcome, by: Arc::clone(rules.identity()), turn })
    }

    /// Holds a new module to what the one before it did. Where the new one failed, the entry gets the other's outcome.
    async fn judge(
        &self,
        lineup: &ModuleSet,
        rules: &LoadedModule,
        judge: &Arc<LoadedModule>,
        call: &Call<'_>,
        result: &Result<Outcome, CallError>,
    ) -> Option<Conversion> {
        let wrong = match result {
            Err(error) => error.to_string(),
            Ok(Outcome { verdict: Verdict::Rejected, .. }) => "rejected".into(),
            Ok(_) => return None,
        };
        let outcome = call.ask(judge).await.ok().filter(|outcome| outcome.verdict != Verdict::Rejected)?;
        let strikes = lineup.strike(&call.entry, call.service);
        let entry = title(&call.entry.namespace, &call.entry.name);
        warn!(entry, module = %rules.identity(), strikes, "the new module does worse than the one before: {wrong}");
        if strikes > self.most_strikes as usize {
            self.struck_out.notify_one();
        }
        // Tried again when something changes, as after any failure: one entry must not use up all strikes.
        let given = || Conversion { outcome, by: Arc::clone(judge.identity()), turn: RolloutPhase::Taken };
        result.is_err().then(given)
    }

    /// Makes a module the active one at once, and holds it for so long to what the one before did. Calls under way end on the
    /// modules that they began with.
    pub fn switch(&self, rules: Arc<LoadedModule>, probation: Duration) {
        let previous = Some((self.active(), Instant::now() + probation));
        self.install(ModuleSet { previous, ..ModuleSet::of(rules) });
    }

    /// Waits until the newest module has too many strikes.
    pub(super) async fn struck_out(&self) {
        self.struck_out.notified().await;
    }

    pub(super) fn lineup(&self) -> Arc<ModuleSet> {
        self.lineup.load_full()
    }

    /// Changes the modules in use; calls under way end on those that they began with.
    pub(super) fn install(&self, lineup: ModuleSet) {
        self.lineup.store(Arc::new(lineup));
    }
}

/// One request, for one module or two.
struct Call<'a> {
    service: &'a Arc<Service>,
    entry: Arc<Entry>,
    memory: LastPublished,
}

impl Call<'_> {
    async fn ask(&self, rules: &Arc<LoadedModule>) -> Result<Outcome, CallError> {
        // A content revision means something to the module alone that gave it.
        let known = self.memory.by.as_ref().is_some_and(|by| by == rules.identity());
        let published = if known { self.memory.revision.clone() } else { None };
        let asked = published.is_some();
        match rules.convert(Arc::clone(self.service), Arc::clone(&self.entry), published).await {
            Ok(Outcome { verdict: Verdict::Unchanged, .. }) if !asked => Err(CallError::Unasked),
            result => result,
        }
    }
}
