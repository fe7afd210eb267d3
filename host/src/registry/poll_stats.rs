//! What following comes to, in figures: for metrics, the status and readiness. It knows nothing of either.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::RegistryError;

/// PollFigures of a follower; shared with whoever reads them.
#[derive(Debug, Default)]
pub struct PollStats {
    counts: Mutex<PollFigures>,
}

/// The figures at one time.
#[derive(Clone, Debug, Default)]
pub struct PollFigures {
    /// Questions by what came of them: `listed`, `missing`, `unchanged`, or a kind of trouble. Few values, all of this program.
    pub results: BTreeMap<&'static str, u64>,
    /// When each source (a server, a directory) last gave an answer that says something of the service asked for.
    pub answered: BTreeMap<String, Instant>,
    /// When the trouble began that all services have, and what it is.
    pub halted: Option<(Instant, String)>,
}

impl PollStats {
    pub fn counts(&self) -> PollFigures {
        self.lock().clone()
    }

    /// A source answered; what it said is sound.
    pub(super) fn answered(&self, source: &str, result: &'static str) {
        let mut counts = self.lock();
        *counts.results.entry(result).or_default() += 1;
        match counts.answered.get_mut(source) {
            Some(at) => *at = Instant::now(),
            None => drop(counts.answered.insert(source.into(), Instant::now())),
        }
    }

    /// No answer, or none that can be used. A source may answer all the same: one sick service is not a sick registry.
    pub(super) fn failed(&self, source: &str, error: &RegistryError) {
        let mut counts = self.lock();
        *counts.results.entry(error.kind()).or_default() += 1;
        if error.is_of_one_service() {
            counts.answered.insert(source.into(), Instant::now());
        }
    }

    /// All services share this trouble, or none any more.
    pub(super) fn halted(&self, trouble: Option<&RegistryError>) {
        let mut counts = self.lock();
        counts.halted = trouble.map(|error| {
            let since = counts.halted.as_ref().map_or_else(Instant::now, |(since, _)| *since);
            (since, error.to_string())
        });
    }

    fn lock(&self) -> MutexGuard<'_, PollFigures> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
