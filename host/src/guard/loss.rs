//! How much of an entry is gone, net and against the most that it had lately: many small losses are one large one, and what is
//! replaced is none.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Of fewer than these, only the loss of all is a mass.
const MASS_AT_LEAST: usize = 4;

/// A count over time: how many endpoints an entry has, each a port at an address.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// The counts that may still be the most within the window, falling, by time.
    samples: VecDeque<(Instant, usize)>,
    /// The count that has been believed: less than this is a loss.
    believed: usize,
}

/// A count that is lower than one that has been believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    /// What is there.
    pub(super) left: usize,
    /// The most within the window.
    pub(super) best: usize,
}

impl Level {
    /// A count that is believed from its beginning.
    pub(super) fn of(count: usize, now: Instant) -> Self {
        Self { samples: [(now, count)].into(), believed: count }
    }

    /// Takes in the present count. While something is held, the window does not move on: what is held must not become what was
    /// always there. Returns the loss, if there is one.
    pub(super) fn count(&mut self, count: usize, holds: bool, window: Duration, now: Instant) -> Option<Loss> {
        while self.samples.back().is_some_and(|(_, earlier)| *earlier < count) {
            self.samples.pop_back();
        }
        if self.samples.back().is_none_or(|(_, earlier)| *earlier > count) {
            self.samples.push_back((now, count));
        }
        // A count was there until the next one came.
        while !holds && self.samples.get(1).is_some_and(|(at, _)| is_past(*at, window, now)) {
            self.samples.pop_front();
        }
        if count >= self.believed {
            self.believed = count;
            return None;
        }
        let best = self.samples.front().map_or(count, |(_, best)| *best).max(self.believed);
        Some(Loss { left: count, best })
    }

    /// The last count against the most within the window, whether or not it is believed.
    pub(super) fn present(&self) -> Loss {
        let left = self.samples.back().map_or(0, |(_, count)| *count);
        Loss { left, best: self.samples.front().map_or(left, |(_, best)| *best) }
    }

    /// Adds that there were so many until then.
    pub(super) fn remember(&mut self, most: usize, until: Instant, now: Instant) {
        let Some(count) = self.samples.back().map(|(_, count)| *count).filter(|count| *count < most) else { return };
        self.samples = [(until.min(now), most), (until.min(now), count)].into();
    }

    /// The most within the window, and until when it counts; `None` if there are as many now.
    pub(super) fn most(&self, window: Duration, now: Instant) -> Option<(usize, Instant)> {
        let ((_, most), (left, _)) = (self.samples.front()?, self.samples.get(1)?);
        Some((*most, *left + window)).filter(|(_, until)| *until > now)
    }

    /// Believes that so many are all.
    pub(super) fn believe(&mut self, count: usize) {
        self.believed = count;
    }

    /// Somebody took so many out of service: they were never lost.
    pub(super) fn take_out(&mut self, count: usize) {
        self.believed = self.believed.saturating_sub(count);
        self.samples.iter_mut().for_each(|(_, sample)| *sample = sample.saturating_sub(count));
    }
}

fn is_past(at: Instant, window: Duration, now: Instant) -> bool {
    now.saturating_duration_since(at) > window
}

impl Loss {
    /// How many of the most within the window are gone.
    pub(super) fn gone(self) -> usize {
        self.best.saturating_sub(self.left)
    }

    /// Whether it is held: all, or more than half of at least four.
    pub(super) fn is_mass(self) -> bool {
        self.left == 0 || (self.best >= MASS_AT_LEAST && self.gone() * 2 > self.best)
    }

    /// Whether half is gone, or more: such a loss counts for the fleet.
    pub(super) fn is_half(self) -> bool {
        self.gone() * 2 >= self.best
    }

    /// Where it stands between the loss of half (0) and of all (1).
    pub(super) fn beyond_half(self) -> f64 {
        if self.best == 0 { 1.0 } else { (2.0 * self.gone() as f64 / self.best as f64 - 1.0).clamp(0.0, 1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    /// A second, the count then, and the loss that is found: what is left, and the best.
    type Step = (u64, usize, Option<(usize, usize)>);

    /// Takes steps one after the other; what is no mass is believed.
    #[track_caller]
    fn check(first: usize, steps: &[Step]) {
        let start = Instant::now();
        let mut level = Level::of(first, start);
        for (second, count, expected) in steps {
            let loss = level.count(*count, false, WINDOW, start + Duration::from_secs(*second));
            assert_eq!(loss.map(|loss| (loss.left, loss.best)), *expected, "second {second}");
            if loss.is_some_and(|loss| !loss.is_mass()) {
                level.believe(*count);
            }
        }
    }

    #[test]
    fn a_loss_is_net_and_against_the_most_of_ten_minutes() {
        check(10, &[(0, 10, None), (1, 12, None), (2, 9, Some((9, 12))), (3, 9, None), (4, 12, None)]);
        // A slow bleed: each step is half at most, and all are one loss.
        check(100, &[(1, 51, Some((51, 100))), (2, 26, Some((26, 100))), (3, 14, Some((14, 100)))]);
        check(100, &[(1, 51, Some((51, 100))), (602, 51, None), (603, 26, Some((26, 51)))]);
    }

    #[test]
    fn what_is_taken_out_was_never_lost() {
        let now = Instant::now();
        let mut level = Level::of(10, now);
        level.take_out(6);
        assert_eq!(level.count(4, false, WINDOW, now), None);
        assert_eq!(level.count(3, false, WINDOW, now), Some(Loss { left: 3, best: 4 }));
    }

    #[test]
    fn what_was_there_before_this_process_counts_as_long_as_it_would_have() {
        let now = Instant::now() + WINDOW;
        let second = |second| now + Duration::from_secs(second);
        let mut level = Level::of(51, now);
        level.remember(100, now - Duration::from_secs(590), now);
        assert_eq!(level.most(WINDOW, now), Some((100, second(10))));
        assert_eq!(level.count(26, false, WINDOW, second(9)), Some(Loss { left: 26, best: 100 }));
        level.believe(26);
        assert_eq!(level.count(25, false, WINDOW, second(11)), Some(Loss { left: 25, best: 51 }));
        level.remember(10, now, now);
        assert_eq!(level.present().left, 25, "fewer than there are say nothing");
    }

    #[test]
    fn while_something_is_held_the_window_stands_still() {
        let start = Instant::now();
        let mut level = Level::of(10, start);
        assert_eq!(level.count(1, true, WINDOW, start + WINDOW * 9), Some(Loss { left: 1, best: 10 }));
    }

    #[test]
    fn what_is_a_mass() {
        for (left, best, mass, beyond) in
            [(0, 1, true, 1.0), (1, 3, false, 1.0 / 3.0), (2, 4, false, 0.0), (1, 4, true, 0.5), (49, 100, true, 0.02)]
        {
            let loss = Loss { left, best };
            assert_eq!(loss.is_mass(), mass, "{loss:?}");
            assert!((loss.beyond_half() - beyond).abs() < 1e-9, "{loss:?}");
        }
    }
}
