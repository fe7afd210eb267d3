//! The places in which calls run. Those that take long have lanes of their own, so that a sound call never waits for many that
//! hang, and how many hang does not matter.
//!
//! Nobody knows which call hangs before it was tried. So each begins in the quick lane with a brief limit of processor time; one
//! that is not done by then is stopped, and begun anew in the next lane.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Where a call runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// All calls at first.
    Quick,
    /// One that was stopped once: the machine may have been busy.
    Doubtful,
    /// One that has all of its time.
    Slow,
}

impl Lane {
    /// The lane of a call that was stopped in this one.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Quick => Self::Doubtful,
            Self::Doubtful | Self::Slow => Self::Slow,
        }
    }
}

/// The lanes of a sandbox, for all of its modules together.
pub(super) struct Lanes {
    /// All calls: each may use all of a call's memory.
    all: Arc<Semaphore>,
    quick: Arc<Semaphore>,
    doubtful: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    /// Comparisons of candidates, one at a time. Nobody waits for them.
    aside: Arc<Semaphore>,
}

/// A place for one call, until it is dropped.
pub(super) struct Place {
    _lane: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// Calls at once, with so many in the quick lane: one of each lane at least, so that none is without a place for the others.
pub(super) fn places(quick: u32) -> u32 {
    quick.max(3)
}

impl Lanes {
    pub(super) fn new(quick: u32) -> Self {
        let permits = |count: u32| Arc::new(Semaphore::new(count as usize));
        Self {
            all: permits(places(quick)),
            quick: permits(quick),
            doubtful: permits(1),
            slow: permits(1),
            aside: permits(1),
        }
    }

    /// Waits for a place.
    pub(super) async fn place(&self, lane: Lane) -> Result<Place, AcquireError> {
        let own = match lane {
            Lane::Quick => &self.quick,
            Lane::Doubtful => &self.doubtful,
            Lane::Slow => &self.slow,
        };
        let lane = Arc::clone(own).acquire_owned().await?;
        Ok(Place { _lane: lane, _all: Arc::clone(&self.all).acquire_owned().await? })
    }

    /// Waits until no other comparison runs.
    pub(super) async fn aside(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.aside).acquire_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_is_slow_takes_no_place_from_the_quick() {
        for quick in [1, 2, 4] {
            let lanes = Lanes::new(quick);
            let now = |lane| lanes.place(lane).now_or_never().map(Result::unwrap);
            let slow: Vec<_> = [Lane::Doubtful, Lane::Slow].map(now).into_iter().collect::<Option<_>>().unwrap();
            assert!(now(Lane::Slow).is_none() && now(Lane::Doubtful).is_none(), "one of each at a time");
            let first = now(Lane::Quick);
            assert!(first.is_some(), "{quick}");
            drop(slow);
            let all: Vec<_> = std::iter::from_fn(|| now(Lane::Quick)).collect();
            assert_eq!(all.len() as u32 + 1, quick, "without slow ones all places are theirs");
        }
    }
}
