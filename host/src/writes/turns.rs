//! Whose turn it is to write. Nobody waits with a decision in hand: who has to wait gets a ring when its turn comes, and decides
//! anew. So an entry whose instance is isolated meanwhile is never written with it, and need not wait for its own older write.
//!
//! Three lanes: what somebody took away on purpose goes first, what failed last goes last. Each has slots of its own, so that
//! writes that hang keep no others waiting.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::adaptive_rate::AdaptiveRate;

/// How urgent a write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// It takes away what somebody isolated or released.
    Urgent,
    Ordinary,
    /// The last one of the entry did not arrive.
    Suspect,
}

const LANES: [Lane; 3] = [Lane::Urgent, Lane::Ordinary, Lane::Suspect];
/// Requests at once, by lane: together as many as the API server takes from one client without a murmur.
const SLOTS: [usize; 3] = [8, 16, 4];
/// One turn in so many goes to the last lane first, so that it always gets on.
const LAST_FIRST: u64 = 8;

/// The turns of all entries, each known by its key.
pub struct Turns<K> {
    rate: AdaptiveRate,
    state: Mutex<State<K>>,
    /// Rings when a turn may have come.
    bell: Notify,
}

struct State<K> {
    /// Those who wait, in order.
    waiting: [BTreeMap<u64, K>; 3],
    places: HashMap<K, (Lane, u64)>,
    /// Those who were rung and have not come yet. Each has a slot.
    granted: HashMap<K, Lane>,
    under_way: [usize; 3],
    next: u64,
    turns: u64,
    is_closed: bool,
}

/// A turn under way; it ends with the value.
pub struct Turn<K: Clone + Eq + Hash> {
    turns: Arc<Turns<K>>,
    lane: Lane,
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// Turns at a rate that adapts, at most so many a second.
    pub fn new(rate: NonZeroU32) -> Self {
        let state = State {
            waiting: Default::default(),
            places: HashMap::new(),
            granted: HashMap::new(),
            under_way: [0; 3],
            next: 0,
            turns: 0,
            is_closed: false,
        };
        Self { rate: AdaptiveRate::new(rate), state: Mutex::new(state), bell: Notify::new() }
    }

    /// Takes a turn, if it has come. If not, the key is rung when it has; one that asks again keeps its place, or gets a better
    /// one.
    pub fn take(self: &Arc<Self>, key: &K, lane: Lane) -> Option<Turn<K>> {
        let turn = |lane| Turn { turns: Arc::clone(self), lane };
        let mut state = self.lock();
        if let Some(lane) = state.granted.remove(key) {
            return Some(turn(lane));
        }
        if state.is_closed {
            return None;
        }
        if state.is_free(lane) && self.rate.check().is_ok() {
            state.leave(key);
            state.under_way[lane as usize] += 1;
            return Some(turn(lane));
        }
        state.queue(key, lane);
        drop(state);
        self.bell.notify_one();
        None
    }

    /// The key wants no turn any more.
    pub fn leave(&self, key: &K) {
        let mut state = self.lock();
        state.leave(key);
        if let Some(lane) = state.granted.remove(key) {
            state.end(lane);
            drop(state);
            self.bell.notify_one();
        }
    }

    /// Waits for the rate alone, out of turn.
    pub async fn pace(&self) {
        while let Err(wait) = self.rate.check() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Rings those whose turn has come, until the future is dropped.
    pub async fn run(&self, ring: impl Fn(K)) {
        loop {
            self.bell.notified().await;
            while self.lock().next_lane().is_some() {
                self.pace().await;
                // It may have left while the rate was waited for.
                if let Some(key) = self.grant() {
                    ring(key);
                }
            }
        }
    }

    /// Lets no turn begin any more, and waits until those under way are over.
    pub async fn close(&self) {
        self.lock().is_closed = true;
        loop {
            let over = self.bell.notified();
            let under_way: usize = self.lock().under_way.iter().sum();
            let unused = self.lock().granted.len();
            if under_way <= unused {
                return;
            }
            over.await;
        }
    }

    fn grant(&self) -> Option<K> {
        let mut state = self.lock();
        let lane = state.next_lane()?;
        let (_, key) = state.waiting[lane as usize].pop_first()?;
        state.places.remove(&key);
        state.granted.insert(key.clone(), lane);
        state.under_way[lane as usize] += 1;
        state.turns += 1;
        Some(key)
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Turn<K> {
    /// Notes how long its write took, or that the server did not want it now; the rate of all turns follows.
    pub fn note(&self, took: Duration, is_wanted: bool) {
        self.turns.rate.note(took, is_wanted, Instant::now());
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn has_slot(&self, lane: Lane) -> bool {
        self.under_way[lane as usize] < SLOTS[lane as usize]
    }

    /// The lane whose first one is next; `None` if nobody waits who has a slot.
    fn next_lane(&self) -> Option<Lane> {
        let is_next = |lane: &Lane| !self.waiting[*lane as usize].is_empty() && self.has_slot(*lane);
        if self.is_closed {
            return None;
        }
        if self.turns % LAST_FIRST == LAST_FIRST - 1 {
            return LANES.into_iter().rev().find(is_next);
        }
        LANES.into_iter().find(is_next)
    }

    /// Whether one of this lane passes nobody by.
    fn is_free(&self, lane: Lane) -> bool {
        self.has_slot(lane)
            && LANES
                .into_iter()
                .all(|other| other > lane || self.waiting[other as usize].is_empty() || !self.has_slot(other))
    }

    fn queue(&mut self, key: &K, lane: Lane) {
        if self.places.get(key).is_some_and(|(known, _)| *known <= lane) {
            return;
        }
        self.leave(key);
        self.next += 1;
        self.places.insert(key.clone(), (lane, self.next));
        self.waiting[lane as usize].insert(self.next, key.clone());
    }

    fn leave(&mut self, key: &K) {
        if let Some((lane, place)) = self.places.remove(key) {
            self.waiting[lane as usize].remove(&place);
        }
    }

    fn end(&mut self, lane: Lane) {
        self.under_way[lane as usize] = self.under_way[lane as usize].saturating_sub(1);
    }
}

impl<K: Clone + Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        self.turns.lock().end(self.lane);
        // Those who wait for a turn, and one who waits for the end of all.
        self.turns.bell.notify_waiters();
        self.turns.bell.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn turns(rate: u32) -> Arc<Turns<u32>> {
        Arc::new(Turns::new(NonZeroU32::new(rate).unwrap()))
    }

    /// Takes turns until all waiting ones were rung or no slot is left; each ends at once if `quick`.
    async fn rung(turns: &Arc<Turns<u32>>, count: usize, quick: bool) -> Vec<(u32, Option<Turn<u32>>)> {
        let rung = Mutex::new(Vec::new());
        let ring = |key| {
            let turn = turns.take(&key, Lane::Ordinary);
            assert!(turn.is_some(), "{key} was rung");
            rung.lock().unwrap().push((key, turn.filter(|_| !quick)));
        };
        let enough = async {
            while rung.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let deadline = tokio::time::timeout(Duration::from_secs(20), enough);
        tokio::select! {
            () = turns.run(ring) => {}
            result = deadline => result.unwrap(),
        }
        rung.into_inner().unwrap()
    }

    #[tokio::test]
    async fn what_is_urgent_goes_first_and_what_failed_last() {
        let turns = turns(20);
        for key in 100..120 {
            assert!(turns.take(&key, Lane::Ordinary).is_some());
        }
        for (key, lane) in [(1, Lane::Suspect), (2, Lane::Ordinary), (3, Lane::Ordinary), (4, Lane::Urgent)] {
            assert!(turns.take(&key, lane).is_none());
        }
        // Of what waits, one becomes urgent, one does not any more, and one wants nothing now.
        assert!(turns.take(&3, Lane::Urgent).is_none());
        assert!(turns.take(&4, Lane::Ordinary).is_none());
        assert!(turns.take(&5, Lane::Ordinary).is_none());
        turns.leave(&5);
        let order: Vec<_> = rung(&turns, 4, true).await.into_iter().map(|(key, _)| key).collect();
        assert_eq!(order, [4, 3, 2, 1]);
    }

    /// Sixty writes that hang keep neither an urgent one waiting, nor, once they have failed, an ordinary one.
    #[tokio::test]
    async fn writes_that_hang_keep_no_others_waiting() {
        let turns = turns(10_000);
        let take = |key, lane| turns.take(&key, lane);
        let hanging: Vec<_> = (0..60).filter_map(|key| take(key, Lane::Ordinary)).collect();
        assert_eq!(hanging.len(), SLOTS[1]);
        assert!(take(100, Lane::Ordinary).is_none());
        assert!(take(101, Lane::Urgent).is_some());
        drop(hanging);
        (0..60).for_each(|key| turns.leave(&key));
        let hanging: Vec<_> = (0..60).filter_map(|key| take(key, Lane::Suspect)).collect();
        assert!(hanging.len() <= SLOTS[2]);
        let first = rung(&turns, 1, true).await;
        assert_eq!(first[0].0, 100, "it had waited");
        assert!(take(102, Lane::Ordinary).is_some());
    }

    #[tokio::test]
    async fn a_turn_that_nobody_wants_any_more_is_the_next_ones() {
        let turns = turns(10_000);
        let held: Vec<_> = (0..16).filter_map(|key| turns.take(&key, Lane::Ordinary)).collect();
        assert!(turns.take(&20, Lane::Ordinary).is_none() && turns.take(&21, Lane::Ordinary).is_none());
        drop(held);
        assert_eq!(turns.grant(), Some(20));
        turns.leave(&20);
        assert_eq!(turns.lock().under_way, [0; 3]);
        assert_eq!(rung(&turns, 1, true).await[0].0, 21);
        assert!(turns.lock().places.is_empty() && turns.lock().granted.is_empty());
    }

    #[tokio::test]
    async fn a_stop_waits_for_what_is_under_way() {
        let turns = turns(100);
        let turn = turns.take(&1, Lane::Ordinary).unwrap();
        let mut closed = std::pin::pin!(turns.close());
        assert!(closed.as_mut().now_or_never().is_none());
        assert!(turns.take(&2, Lane::Urgent).is_none());
        drop(turn);
        closed.await;
    }
}
