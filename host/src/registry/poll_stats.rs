//! The figures of following, for metrics, the status and readiness. It knows nothing of either.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::RegistryError;

/// The figures of a follower; shared with whoever reads them.
#[derive(Debug, Default)]
pub struct PollStats {
    figures: Mutex<PollFigures>,
}

/// The figures at one time.
#[derive(Clone, Debug, Default)]
pub struct PollFigures {
    /// Questions by their outcome: `listed`, `missing`, `unchanged`, or a kind of trouble. Few values, all of this program.
    pub results: BTreeMap<&'static str, u64>,
    /// When each source (a server, a directory) last gave an answer that says something of the service asked for.
    pub answered: BTreeMap<String, Instant>,
    /// When the trouble began that all services have, with its text; `None` if there is no such trouble.
    pub halted: Option<(Instant, String)>,
}

impl PollStats {
    /// The figures now.
    pub fn figures(&self) -> PollFigures {
        self.lock().clone()
    }

    /// A source answered; what it said is sound.
    pub(super) fn answered(&self, source: &str, result: &'static str) {
        let mut figures = self.lock();
        *figures.results.entry(result).or_default() += 1;
        match figures.answered.get_mut(source) {
            Some(at) => *at = Instant::now(),
            None => drop(figures.answered.insert(source.into(), Instant::now())),
        }
    }

    /// No answer, or none that can be used. A source may answer all the same: one sick service is not a sick registry.
    pub(super) fn failed(&self, source: &str, error: &RegistryError) {
        let mut figures = self.lock();
        *figures.results.entry(error.kind()).or_default() += 1;
        if error.is_of_one_service() {
            figures.answered.insert(source.into(), Instant::now());
        }
    }

    /// All services share this trouble; `None` if they no longer do.
    pub(super) fn halted(&self, trouble: Option<&RegistryError>) {
        let mut figures = self.lock();
        figures.halted = trouble.map(|error| {
            let since = figures.halted.as_ref().map_or_else(Instant::now, |(since, _)| *since);
            (since, error.to_string())
        });
    }

    fn lock(&self) -> MutexGuard<'_, PollFigures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
