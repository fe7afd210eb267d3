//! The rate of writes, found out by writing: it grows while the API server takes them at ease, and halves where the server is
//! slow or refuses for the number of them. A first filling is bound by the server then, and a server in trouble is left alone.
//!
//! Additive increase, multiplicative decrease, as TCP has it since Jacobson's "Congestion Avoidance and Control" (1988), with
//! its slow start: until the first decrease the rate doubles every second.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Writes a second at the start.
const FIRST: f64 = 100.0;
/// Writes a second at least: an isolation has to arrive in the worst of times.
const LEAST: f64 = 10.0;
/// Writes a second by which the rate grows every second, once it was too much.
const STEP: f64 = 20.0;
/// A write that takes longer was one too many.
const SLOW: Duration = Duration::from_millis(500);
/// Between two decreases: all writes under way tell of the same trouble.
const REST: Duration = Duration::from_secs(1);
/// Writes a second at most: more than any API server takes.
const MOST: u32 = 10_000;
/// Parts of a write in which the limiter counts: the quota stands for the ceiling, and a slower rate makes a write cost more.
const PARTS: f64 = 100.0;

/// A limiter whose rate adapts, below a ceiling.
pub(super) struct AdaptiveRate {
    limiter: DefaultDirectRateLimiter,
    ceiling: f64,
    pace: Mutex<Pace>,
}

struct Pace {
    rate: f64,
    decreased: Option<Instant>,
}

impl AdaptiveRate {
    /// A limiter to at most so many writes a second.
    pub(super) fn new(ceiling: NonZeroU32) -> Self {
        let ceiling = ceiling.get().min(MOST);
        let quota = NonZeroU32::new(ceiling * PARTS as u32).unwrap_or(NonZeroU32::MIN);
        let ceiling = f64::from(ceiling);
        let pace = Pace { rate: FIRST.min(ceiling), decreased: None };
        Self { limiter: RateLimiter::direct(Quota::per_second(quota)), ceiling, pace: Mutex::new(pace) }
    }

    /// Takes the right to one write. The error is how long to wait for the next.
    pub(super) fn check(&self) -> Result<(), Duration> {
        let cost = (PARTS * self.ceiling / self.lock().rate).round() as u32;
        let cost = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
        match self.limiter.check_n(cost) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(early)) => Err(early.wait_time_from(self.limiter.clock().now())),
            // No write costs more than a quota, since there is a least rate.
            Err(_) => Err(REST),
        }
    }

    /// Notes how long a write took, or that the server did not want it now.
    pub(super) fn note(&self, took: Duration, is_wanted: bool, now: Instant) {
        let mut pace = self.lock();
        if is_wanted && took < SLOW {
            let grows = if pace.decreased.is_none() { 1.0 } else { STEP / pace.rate };
            pace.rate = (pace.rate + grows).min(self.ceiling);
        } else if pace.decreased.is_none_or(|last| now.duration_since(last) >= REST) {
            pace.rate = (pace.rate / 2.0).max(LEAST.min(self.ceiling));
            pace.decreased = Some(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(20);

    fn limited(ceiling: u32) -> AdaptiveRate {
        AdaptiveRate::new(NonZeroU32::new(ceiling).unwrap())
    }

    fn rate(limiter: &AdaptiveRate) -> f64 {
        limiter.lock().rate
    }

    #[test]
    fn it_grows_to_its_ceiling_and_halves_in_trouble() {
        let (limiter, start) = (limited(400), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rate(&limiter), 100.0);
        (0..1000).for_each(|_| limiter.note(QUICK, true, at(0)));
        assert_eq!(rate(&limiter), 400.0);
        limiter.note(QUICK, false, at(1));
        (0..16).for_each(|_| limiter.note(QUICK, false, at(1)));
        assert_eq!(rate(&limiter), 200.0, "one trouble counts once");
        limiter.note(Duration::from_secs(2), true, at(2));
        assert_eq!(rate(&limiter), 100.0, "a slow one counts, too");
        (0..100).for_each(|_| limiter.note(QUICK, true, at(3)));
        assert!((115.0..=121.0).contains(&rate(&limiter)), "a second later: {}", rate(&limiter));
        (10..30).for_each(|second| limiter.note(QUICK, false, at(second)));
        assert_eq!(rate(&limiter), LEAST);
    }

    #[test]
    fn a_low_ceiling_holds() {
        let limiter = limited(2);
        limiter.note(QUICK, false, Instant::now());
        assert_eq!(rate(&limiter), 2.0);
        let taken = (0..10).filter(|_| limiter.check().is_ok()).count();
        assert_eq!(taken, 2);
    }

    #[test]
    fn a_slower_rate_lets_fewer_go() {
        let limiter = limited(400);
        let taken = (0..1000).filter(|_| limiter.check().is_ok()).count();
        assert!((100..=110).contains(&taken), "{taken} at once, at a quarter of the ceiling");
        assert!(limiter.check().unwrap_err() <= Duration::from_millis(11));
    }

    #[test]
    fn the_highest_ceiling_is_one() {
        let limiter = AdaptiveRate::new(NonZeroU32::MAX);
        (0..20_000).for_each(|_| limiter.note(QUICK, true, Instant::now()));
        assert_eq!(rate(&limiter), f64::from(MOST));
        assert!(limiter.check().is_ok());
    }
}
