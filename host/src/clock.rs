//! The clock of holds and leases. The monotonic one stands still while the machine sleeps, so that after an hour's sleep a lease
//! would still seem to be ours, and a hold to have an hour left; this one goes on.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// A difference that two readings one after the other may make.
const APART: Duration = Duration::from_millis(100);

/// A clock that is off by more was set.
const SET: SignedDuration = SignedDuration::from_secs(2);

/// The present moment, the machine's sleep since the process began included.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std() + slept()
}

/// A moment as one of the clock on the wall, for what outlives the process. The same moment is always the same, unless that
/// clock is set.
pub fn wall(at: Instant) -> Timestamp {
    let (moment, stamp) = anchor();
    let after = SignedDuration::try_from(at.saturating_duration_since(moment)).unwrap_or_default();
    let before = SignedDuration::try_from(moment.saturating_duration_since(at)).unwrap_or_default();
    stamp.saturating_add(after).and_then(|stamp| stamp.saturating_sub(before)).unwrap_or(stamp)
}

/// A moment by both clocks: the first one that was asked for, until the clock on the wall was set.
fn anchor() -> (Instant, Timestamp) {
    static ANCHOR: Mutex<Option<(Instant, Timestamp)>> = Mutex::new(None);
    let present = (now(), Timestamp::now());
    let mut anchor = ANCHOR.lock().unwrap_or_else(PoisonError::into_inner);
    let is_right = |(moment, stamp): (Instant, Timestamp)| {
        let by_wall = present.1.duration_since(stamp);
        let elapsed = SignedDuration::try_from(present.0.saturating_duration_since(moment)).unwrap_or_default();
        (by_wall - elapsed).abs() < SET
    };
    let right = anchor.filter(|anchor| is_right(*anchor)).unwrap_or(present);
    *anchor = Some(right);
    right
}

/// A moment of the clock on the wall as one of this clock. One to come is now: nothing began in the future.
pub fn past(at: Timestamp) -> Instant {
    let ago = Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default();
    let now = now();
    now.checked_sub(ago).unwrap_or(now)
}

/// How long the machine has slept since this was first asked.
fn slept() -> Duration {
    static AT_FIRST: OnceLock<Duration> = OnceLock::new();
    let asleep = read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic));
    let slept = asleep.saturating_sub(*AT_FIRST.get_or_init(|| asleep));
    if slept < APART { Duration::ZERO } else { slept }
}

fn read(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    Duration::new(tv_sec.try_into().unwrap_or_default(), tv_nsec.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_as_the_monotonic_one_while_nobody_sleeps() {
        let before = Instant::now();
        let now = now();
        assert!(before <= now && now <= Instant::now());
    }

    #[test]
    fn a_moment_on_the_wall_and_back() {
        let at = now();
        let back = past(wall(at));
        assert_eq!(wall(at), wall(at));
        let apart = at.max(back) - at.min(back);
        assert!(apart < Duration::from_secs(1), "{apart:?}");
        let to_come = Timestamp::now() + SignedDuration::from_hours(1);
        assert!(past(to_come) <= now());
    }
}
