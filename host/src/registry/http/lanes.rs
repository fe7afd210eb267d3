//! How many questions may be under way, so that services which are slow do not keep the others waiting: those that are known to
//! be slow have a lane of their own, and a question that takes long changes over to it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// A question that is not answered by then is slow, and so is its service until an answer comes sooner.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// The questions that are under way.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Questions at once in either lane.
    width: usize,
    /// By number, which is by age: when it was asked, and whether of a service known to be slow.
    asked: BTreeMap<u64, (Instant, bool)>,
    next: u64,
}

/// The lanes that have room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) quick: bool,
    pub(super) slow: bool,
}

impl Lanes {
    pub(super) fn new(width: usize) -> Self {
        Self { width: width.max(1), asked: BTreeMap::new(), next: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    pub(super) fn room(&self, now: Instant) -> Room {
        let quick = self.quick(now).count();
        let (all, slow) = (self.asked.len(), self.asked.len() - quick);
        let free = all < 2 * self.width;
        Room { quick: free && quick < self.width, slow: free && slow < self.width }
    }

    /// When the quick lane has room without an answer; `None` if an answer must come first.
    pub(super) fn room_at(&self, now: Instant) -> Option<Instant> {
        let full = self.asked.len() >= 2 * self.width;
        self.quick(now).next().filter(|_| !full).map(|at| at + SLOW)
    }

    /// A question goes out. Returns its number.
    pub(super) fn enter(&mut self, slow: bool, now: Instant) -> u64 {
        self.next += 1;
        self.asked.insert(self.next, (now, slow));
        self.next
    }

    /// It was answered, or failed. Returns whether that was slow.
    pub(super) fn leave(&mut self, number: u64, now: Instant) -> bool {
        self.asked.remove(&number).is_some_and(|(at, _)| now.saturating_duration_since(at) >= SLOW)
    }

    fn quick(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let quick = move |(at, slow): &&(Instant, bool)| !slow && now.saturating_duration_since(*at) < SLOW;
        self.asked.values().filter(quick).map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_makes_room_for_what_is_quick() {
        let (mut lanes, start) = (Lanes::new(4), Instant::now());
        let numbers: Vec<_> = (0..4).map(|_| lanes.enter(false, start)).collect();
        assert_eq!(lanes.room(start), Room { quick: false, slow: true });
        assert_eq!(lanes.room_at(start), Some(start + SLOW));
        let later = start + SLOW;
        assert_eq!(lanes.room(later), Room { quick: true, slow: false });
        (0..4).for_each(|_| _ = lanes.enter(false, later));
        assert_eq!(lanes.room(later + SLOW), Room { quick: false, slow: false });
        assert_eq!(lanes.room_at(later), None);
        assert!(lanes.leave(numbers[0], later));
        assert!(lanes.room(later + SLOW).quick);
    }

    #[test]
    fn services_known_to_be_slow_fill_their_own_lane_alone() {
        let (mut lanes, now) = (Lanes::new(2), Instant::now());
        let number = lanes.enter(true, now);
        assert_eq!(lanes.room(now), Room { quick: true, slow: true });
        lanes.enter(true, now);
        assert_eq!(lanes.room(now), Room { quick: true, slow: false });
        assert!(!lanes.leave(number, now));
        assert_eq!(lanes.room(now), Room { quick: true, slow: true });
    }
}
