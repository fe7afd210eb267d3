//! How long the calls of one module take, and which of its inputs take long.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lanes::Lane;

/// The shortest limit of the quick lane; a call with a hundred instances takes one millisecond.
const BRIEF: Duration = Duration::from_millis(20);
/// The limit in times of a usual call: a module in an interpreter takes long for everything, and hangs in nothing.
const TIMES: u32 = 10;
/// Inputs that are remembered. With more of them all begin anew.
const REMEMBERED: usize = 10_000;

/// The pace of one module.
#[derive(Default)]
pub(super) struct Pace {
    /// The microseconds of a usual call; 0 before the first.
    usual: AtomicU64,
    /// The lanes of inputs that do not belong into the quick one.
    lanes: Mutex<HashMap<u64, Lane>>,
}

impl Pace {
    /// The lane in which an input is tried first.
    pub(super) fn lane(&self, input: u64) -> Lane {
        self.lanes().get(&input).copied().unwrap_or(Lane::Quick)
    }

    /// The limit of processor time in a lane; `None` if a call has all of its time.
    pub(super) fn limit(&self, lane: Lane) -> Option<Duration> {
        let brief = BRIEF.max(Duration::from_micros(self.usual.load(Ordering::Relaxed)) * TIMES);
        match lane {
            Lane::Quick => Some(brief),
            Lane::Doubtful => Some(brief * TIMES),
            Lane::Slow => None,
        }
    }

    /// Notes that an input belongs into a lane.
    pub(super) fn note_lane(&self, input: u64, lane: Lane) {
        let mut lanes = self.lanes();
        if lanes.len() >= REMEMBERED {
            lanes.clear();
        }
        match lane {
            Lane::Quick => drop(lanes.remove(&input)),
            lane => drop(lanes.insert(input, lane)),
        }
    }

    /// Notes how long a call took that came to an end by itself. An eighth of it counts.
    pub(super) fn note_call(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let next = |usual: u64| if usual == 0 { took } else { usual - usual / 8 + took / 8 };
        // It never fails.
        let _ = self.usual.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |usual| Some(next(usual)));
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<u64, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_slow_in_everything_hangs_in_nothing() {
        let pace = Pace::default();
        assert_eq!((pace.limit(Lane::Quick), pace.limit(Lane::Slow)), (Some(BRIEF), None));
        (0..20).for_each(|_| pace.note_call(Duration::from_millis(1)));
        assert_eq!(pace.limit(Lane::Quick), Some(BRIEF));
        (0..50).for_each(|_| pace.note_call(Duration::from_millis(300)));
        assert!(pace.limit(Lane::Quick).unwrap() > Duration::from_secs(2));
    }

    #[test]
    fn an_input_stays_in_its_lane_until_it_is_quick() {
        let pace = Pace::default();
        pace.note_lane(1, Lane::Slow);
        assert_eq!((pace.lane(1), pace.lane(2)), (Lane::Slow, Lane::Quick));
        pace.note_lane(1, Lane::Quick);
        assert_eq!(pace.lane(1), Lane::Quick);
        (0..REMEMBERED as u64 + 1).for_each(|input| pace.note_lane(input, Lane::Slow));
        assert_eq!(pace.lanes().len(), 1);
    }
}
