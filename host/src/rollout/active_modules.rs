//! One `convert` for the engine, whichever modules are in use: the active one, a canary on its share, and for a while after
//! a change the previous one, which serves the entries that the change has not reached.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use polaris2istio_core::model::{Entry, Outcome, Service, Update, Verdict};
use tokio::sync::watch;
use tracing::warn;

use super::RolloutStats;
use super::module_set::{Choice, ModuleSet};
use super::strikes::Strikes;
use crate::converter::{CallError, Identity, LoadedModule};
use crate::title::title;

/// The modules in use.
pub struct ActiveModules {
    set: ArcSwap<ModuleSet>,
    /// With too many of them a module on trial is rolled back.
    strikes: Strikes,
    stats: RolloutStats,
    /// Tells of every change of the set.
    changes: watch::Sender<()>,
}

/// The origin of the content that an entry holds.
#[derive(Clone, Debug, Default)]
pub struct LastPublished {
    /// The module that gave it.
    pub by: Option<Arc<Identity>>,
    /// The module's content revision, if the entry still holds just that content.
    pub revision: Option<String>,
}

/// An outcome, and the module that gave it.
#[derive(Debug)]
pub struct Conversion {
    pub outcome: Outcome,
    /// The module with its parameters.
    pub by: Arc<Identity>,
    /// The outcome's place in a change of modules.
    pub phase: RolloutPhase,
}

/// The place of an outcome in a change of modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutPhase {
    /// It comes from the module that is to convert this entry.
    Taken,
    /// It comes from the module that converted the entry so far: the change of this entry has to wait.
    Waits,
    /// It comes from the module that a roll-back restored, for an entry that the other one had changed.
    Restored,
}

impl ActiveModules {
    /// Begins with one module. After more than `most_strikes` calls that go wrong after a change, the change is undone.
    pub fn new(active: Arc<LoadedModule>, most_strikes: u32) -> Self {
        Self {
            set: ArcSwap::from_pointee(ModuleSet::of(active)),
            strikes: Strikes::new(most_strikes),
            stats: RolloutStats::default(),
            changes: watch::Sender::new(()),
        }
    }

    /// The module that converts all entries but those of a canary.
    pub fn active(&self) -> Arc<LoadedModule> {
        Arc::clone(&self.set.load().active)
    }

    /// Notices of modules beyond those in use.
    pub fn stats(&self) -> &RolloutStats {
        &self.stats
    }

    /// Converts one entry, wholly by one module.
    ///
    /// `admit` is asked before an entry gets its first outcome from another module than before: whether that change may be
    /// written now.
    ///
    /// # Errors
    ///
    /// The module gave no outcome, and no previous module gave one either.
    pub async fn convert(
        &self,
        service: &Arc<Service>,
        entry: Entry,
        last_published: LastPublished,
        admit: impl Fn(&Update) -> bool,
    ) -> Result<Conversion, CallError> {
        let call = Call { service, entry: Arc::new(entry), last_published };
        loop {
            let mut changes = self.changes.subscribe();
            let set = self.set.load_full();
            let module = Arc::clone(set.choose(&call.entry).module);
            tokio::select! {
                biased;
                conversion = self.convert_by(&set, &call, &admit) => return conversion,
                // A roll-back waits for no call of the module that it takes away: some may hang, and others wait for them.
                () = self.until_left(&mut changes, module.identity()) => {}
            }
        }
    }

    async fn until_left(&self, changes: &mut watch::Receiver<()>, module: &Identity) {
        while self.set.load().find(module).is_some() {
            if changes.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    async fn convert_by(
        &self,
        set: &ModuleSet,
        call: &Call<'_>,
        admit: &impl Fn(&Update) -> bool,
    ) -> Result<Conversion, CallError> {
        let Choice { module, judge } = set.choose(&call.entry);
        let result = call.ask(module).await;
        let held = call.last_published.by.as_ref().filter(|by| *by != module.identity());
        let restored = held.is_some_and(|by| set.left.as_ref() == Some(by));
        if let Ok(Outcome { verdict: Verdict::Update(update), .. }) = &result
            && let Some(before) = held.and_then(|by| set.find(by))
            && !restored
            && !admit(update)
        {
            let outcome = call.ask(before).await?;
            return Ok(Conversion { outcome, by: Arc::clone(before.identity()), phase: RolloutPhase::Waits });
        }
        if let Some(judge) = judge
            && let Some(better) = self.judge(module, judge, call, &result).await
        {
            return Ok(better);
        }
        let phase = if restored { RolloutPhase::Restored } else { RolloutPhase::Taken };
        result.map(|outcome| Conversion { outcome, by: Arc::clone(module.identity()), phase })
    }

    /// Compares a new module with the previous one. If the new one failed, the entry gets the outcome of the previous one.
    async fn judge(
        &self,
        module: &LoadedModule,
        judge: &Arc<LoadedModule>,
        call: &Call<'_>,
        result: &Result<Outcome, CallError>,
    ) -> Option<Conversion> {
        let wrong = match result {
            Err(CallError::Busy) => {
                let outcome = call.ask(judge).await.ok()?;
                return Some(Conversion { outcome, by: Arc::clone(judge.identity()), phase: RolloutPhase::Waits });
            }
            Err(error) => error.to_string(),
            Ok(Outcome { verdict: Verdict::Rejected, .. }) => "rejected".into(),
            Ok(_) => return None,
        };
        let outcome = call.ask(judge).await.ok().filter(|outcome| outcome.verdict != Verdict::Rejected)?;
        // A call may end when its module is long gone.
        if self.set.load().is_on_trial(module.identity()) {
            let strikes = self.strikes.count(module.identity(), &call.entry, call.service);
            let entry = title(&call.entry.namespace, &call.entry.name);
            warn!(entry, module = %module.identity(), strikes, "the new module fails where the one before converts: {wrong}");
        }
        // It is tried again when something changes, as after any failure: one entry must not use up all strikes.
        let fallback = || Conversion { outcome, by: Arc::clone(judge.identity()), phase: RolloutPhase::Taken };
        result.is_err().then(fallback)
    }

    /// Makes a module the active one at once, and compares it with the previous one for the time of `probation`. Calls under
    /// way end on the modules that they began with.
    pub fn switch(&self, module: Arc<LoadedModule>, probation: Duration) {
        let previous = Some((self.active(), Instant::now() + probation));
        self.install(ModuleSet { previous, ..ModuleSet::of(module) });
    }

    /// Waits for a module on trial that has too many strikes.
    pub(super) async fn until_struck_out(&self) -> Arc<Identity> {
        self.strikes.until_out().await
    }

    pub(super) fn module_set(&self) -> Arc<ModuleSet> {
        self.set.load_full()
    }

    /// Changes the modules in use. Calls under way end on those that they began with.
    pub(super) fn install(&self, set: ModuleSet) {
        self.set.store(Arc::new(set));
        self.changes.send_replace(());
        let set = self.set.load();
        self.strikes.retain(|module| set.is_on_trial(module));
    }
}

/// One request, for one module or two.
struct Call<'a> {
    service: &'a Arc<Service>,
    entry: Arc<Entry>,
    last_published: LastPublished,
}

impl Call<'_> {
    async fn ask(&self, module: &Arc<LoadedModule>) -> Result<Outcome, CallError> {
        // A content revision means something only to the module that gave it.
        let known = self.last_published.by.as_ref().is_some_and(|by| by == module.identity());
        let published = if known { self.last_published.revision.clone() } else { None };
        let asked = published.is_some();
        match module.convert(Arc::clone(self.service), Arc::clone(&self.entry), published).await {
            Ok(Outcome { verdict: Verdict::Unchanged, .. }) if !asked => Err(CallError::Unasked),
            result => result,
        }
    }
}
