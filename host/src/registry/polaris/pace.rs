//! How often each service is asked for: as often as is wished, and never more requests a second than the registry is to get.
//!
//! With more services than the rate allows, every interval is stretched, so that the rate is shared evenly. Services that have
//! just changed are asked for more often, within half the rate: instances of one service rarely change alone.

use std::time::Duration;

use tokio::time::Instant;

/// The interval of a service that has just changed. A shorter one shows little: Polaris looks into its store once a second.
const EAGER: Duration = Duration::from_millis(250);

/// For how long it is asked for so often.
pub(super) const EAGER_FOR: Duration = Duration::from_secs(60);

/// The part of the rate that services which have just changed may take.
const EAGER_SHARE: f64 = 0.5;

/// Who does not act on answers asks this many times less often.
const SLOW: u32 = 5;

/// The part of a second whose requests may go out at once.
const BURST: f64 = 0.1;

/// A shorter wait is as good as none, and may be none by rounding.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// After the server limited us, the rate is halved, down to this part of it.
const SMALLEST_SHARE: f64 = 1.0 / 64.0;

/// How long it takes without another limit until the rate is doubled again, up to what is set.
const REGAINED_AFTER: Duration = Duration::from_secs(60);

/// The pace of all services together.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// The interval while something else tells of changes: what that may have missed is found by then.
    sweep: Duration,
    slow: bool,
    /// Whether something else tells of changes.
    told: bool,
    /// Requests a second, unless the server limits us.
    rate: f64,
    /// The part of the rate that is taken.
    share: f64,
    limited: Option<Instant>,
    /// Requests that may be made now.
    allowance: f64,
    filled: Option<Instant>,
}

/// The intervals of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Intervals {
    pub(super) usual: Duration,
    /// Of services that have just changed.
    pub(super) eager: Duration,
}

impl Pace {
    pub(super) fn new(interval: Duration, sweep: Duration) -> Self {
        Self {
            interval,
            sweep,
            slow: false,
            told: false,
            rate: 1.0,
            share: 1.0,
            limited: None,
            allowance: 0.0,
            filled: None,
        }
    }

    /// Sets whether all are asked for less often.
    pub(super) fn slow(&mut self, slow: bool) {
        self.slow = slow;
    }

    /// Sets whether something else tells of changes, so that all are asked for seldom.
    pub(super) fn told(&mut self, told: bool) {
        self.told = told;
    }

    /// Sets the requests a second that the registry may get.
    pub(super) fn set_rate(&mut self, rate: u32) {
        self.rate = f64::from(rate.max(1));
    }

    /// The server limited us: everything is slowed down for some time.
    pub(super) fn limited(&mut self, now: Instant) {
        self.share = (self.share / 2.0).max(SMALLEST_SHARE);
        self.limited = Some(now);
    }

    fn taken(&mut self, now: Instant) -> f64 {
        while let Some(limited) = self.limited.filter(|at| now.duration_since(*at) >= REGAINED_AFTER) {
            self.share = (self.share * 2.0).min(1.0);
            self.limited = (self.share < 1.0).then_some(limited + REGAINED_AFTER);
        }
        self.rate * self.share
    }

    /// The intervals of so many services, of which some have just changed.
    pub(super) fn intervals(&mut self, services: usize, eager: usize, now: Instant) -> Intervals {
        let rate = self.taken(now);
        let wished = match () {
            () if self.told => self.interval.max(self.sweep),
            () if self.slow => self.interval * SLOW,
            () => self.interval,
        };
        if self.told || self.slow || eager == 0 {
            let usual = wished.max(Duration::from_secs_f64(services as f64 / rate));
            return Intervals { usual, eager: usual };
        }
        let soonest = EAGER.min(wished);
        let of_eager = soonest.max(Duration::from_secs_f64(eager as f64 / (rate * EAGER_SHARE)));
        let left = rate - eager as f64 / of_eager.as_secs_f64();
        let others = services.saturating_sub(eager) as f64;
        let usual = wished.max(Duration::from_secs_f64(others / left)).max(of_eager);
        Intervals { usual, eager: of_eager }
    }

    /// Whether a request may be made now.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let rate = self.taken(now);
        let most = (rate * BURST).max(1.0);
        let passed = self.filled.map_or(BURST, |filled| now.duration_since(filled).as_secs_f64());
        self.filled = Some(now);
        self.allowance = (self.allowance + passed * rate).min(most);
        self.allowance >= 1.0
    }

    /// A request was made.
    pub(super) fn spend(&mut self) {
        self.allowance -= 1.0;
    }

    /// When the next request may be made.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        if self.allows(now) {
            return now;
        }
        now + Duration::from_secs_f64((1.0 - self.allowance) / self.taken(now)).max(SHORTEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(interval: u64, rate: u32) -> Pace {
        let mut pace = Pace::new(Duration::from_millis(interval), Duration::from_secs(30));
        pace.set_rate(rate);
        pace
    }

    #[track_caller]
    fn check(pace: &mut Pace, services: usize, eager: usize, usual: u64, soon: u64) {
        let Intervals { usual: found, eager: found_soon } = pace.intervals(services, eager, Instant::now());
        assert_eq!((found.as_millis(), found_soon.as_millis()), (usual.into(), soon.into()), "{services}, {eager}");
    }

    #[test]
    fn intervals_are_stretched_by_the_number_of_services() {
        let mut pace = pace(500, 2_000);
        check(&mut pace, 1, 0, 500, 500);
        check(&mut pace, 1_000, 0, 500, 500);
        check(&mut pace, 1_200, 0, 600, 600);
        check(&mut pace, 10_000, 0, 5_000, 5_000);
        check(&mut pace, 100, 100, 500, 250);
        check(&mut pace, 1_000, 100, 562, 250);
        check(&mut pace, 1_000, 1_000, 1_000, 1_000);
        pace.told(true);
        check(&mut pace, 1_000, 100, 30_000, 30_000);
        pace.told(false);
        pace.slow(true);
        check(&mut pace, 1_000, 100, 2_500, 2_500);
        check(&mut pace, 10_000, 0, 5_000, 5_000);
    }

    #[test]
    fn no_mixture_goes_over_the_rate() {
        for (interval, rate) in [(500, 2_000), (500, 500), (50, 100), (2_000, 1)] {
            let mut pace = pace(interval, rate);
            for services in [1_usize, 7, 100, 999, 1_000, 1_001, 20_000] {
                for eager in [0, 1, services / 3, services] {
                    let Intervals { usual, eager: soon } = pace.intervals(services, eager, Instant::now());
                    let (slow, fast) = ((services - eager) as f64, eager as f64);
                    let sum = slow / usual.as_secs_f64() + fast / soon.as_secs_f64();
                    assert!(sum <= f64::from(rate) * 1.000_001, "{services}, {eager}: {sum} of {rate}");
                    assert!(soon <= usual);
                }
            }
        }
    }

    #[test]
    fn requests_are_counted_out() {
        let (mut pace, start) = (pace(500, 100), Instant::now());
        let mut made = 0;
        for millisecond in 0..2_000 {
            let now = start + Duration::from_millis(millisecond);
            while pace.allows(now) {
                pace.spend();
                made += 1;
            }
            assert!(pace.next(now) > now);
        }
        assert!((200..=210).contains(&made), "{made}");
    }

    #[test]
    fn a_limit_slows_everything_down_and_is_forgotten() {
        let (mut pace, start) = (pace(500, 2_000), Instant::now());
        let usual = |pace: &mut Pace, seconds| pace.intervals(1_000, 0, start + Duration::from_secs(seconds)).usual;
        pace.limited(start);
        pace.limited(start);
        assert_eq!(usual(&mut pace, 1), Duration::from_secs(2));
        assert_eq!(usual(&mut pace, 61), Duration::from_secs(1));
        assert_eq!(usual(&mut pace, 121), Duration::from_millis(500));
        (0..100).for_each(|_| pace.limited(start));
        assert_eq!(usual(&mut pace, 1), Duration::from_secs(32));
        assert_eq!(usual(&mut pace, 3_600), Duration::from_millis(500));
    }
}
