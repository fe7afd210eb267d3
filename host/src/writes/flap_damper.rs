//! Spaces the writes of one entry, the more so while its content flaps between the same states.
//!
//! A rolling deployment brings something new with each write, and keeps the short spacing; an instance that comes and
//! goes, or two managers that undo each other's writes, do not.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time between two writes of one entry.
const SPACING: Duration = Duration::from_millis(200);
/// The longest time between two writes of an entry that flaps.
const LONGEST: Duration = Duration::from_secs(10);
/// The time without a write after which earlier ones do not count.
const QUIET: Duration = Duration::from_secs(60);
/// Content counts as flapping once it has come back this often: once is a rollout, a swap or a scaling.
const RETURNS: u32 = 3;
/// States that are remembered.
const REMEMBERED: usize = 8;

/// The times and contents of an entry's last writes.
#[derive(Debug)]
pub struct FlapDamper {
    spacing: Duration,
    last: Option<Instant>,
    /// How often in a row the content was one that had been there before.
    returns: u32,
    recent: VecDeque<u64>,
}

impl Default for FlapDamper {
    fn default() -> Self {
        Self { spacing: SPACING, last: None, returns: 0, recent: VecDeque::new() }
    }
}

impl FlapDamper {
    /// The time that a write has to wait from now. What is urgent waits no longer because the content flaps.
    pub fn wait(&self, now: Instant, is_urgent: bool) -> Duration {
        let spacing = if is_urgent { SPACING } else { self.spacing };
        self.last.map_or(Duration::ZERO, |last| (last + spacing).saturating_duration_since(now))
    }

    /// Notes a write of content with this hash.
    pub fn wrote(&mut self, content: u64, now: Instant) {
        if self.last.is_some_and(|last| now.duration_since(last) > QUIET) {
            *self = Self::default();
        }
        self.returns = if self.recent.contains(&content) { self.returns + 1 } else { 0 };
        self.spacing = if self.returns >= RETURNS { (self.spacing * 2).min(LONGEST) } else { SPACING };
        self.recent.push_back(content);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
        self.last = Some(now);
    }

    /// The time for which the entry still counts as flapping, unless it is written meanwhile. `None` if the last write brought
    /// new content, or was long ago.
    pub fn flaps(&self, now: Instant) -> Option<Duration> {
        let last = self.last.filter(|_| self.spacing > SPACING)?;
        Some((last + QUIET).saturating_duration_since(now)).filter(|rest| !rest.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_by_what_is_written() {
        let start = Instant::now();
        let mut now = start;
        let mut waits = |contents: &[u64]| {
            let mut damper = FlapDamper::default();
            let mut waits = Vec::new();
            for content in contents {
                damper.wrote(*content, now);
                assert!(damper.wait(now, true) <= SPACING);
                waits.push(damper.wait(now, false).as_millis());
                now += damper.wait(now, false);
            }
            waits
        };
        assert_eq!(waits(&[1, 2, 3, 4]), [200, 200, 200, 200], "new content");
        assert_eq!(waits(&[1, 2, 1, 2, 1, 2, 1, 2, 1]), [200, 200, 200, 200, 400, 800, 1600, 3200, 6400], "flapping");
        assert_eq!(waits(&[1, 2, 1]), [200, 200, 200], "once is a rollout that was taken back");
        assert_eq!(waits(&[1, 2, 1, 2, 1, 3]), [200, 200, 200, 200, 400, 200], "something new ends it");
    }

    #[test]
    fn forgets_after_a_quiet_time() {
        let now = Instant::now();
        let mut damper = FlapDamper::default();
        assert_eq!(damper.wait(now, false), Duration::ZERO);
        (0..=RETURNS).for_each(|_| damper.wrote(1, now));
        assert_eq!(damper.flaps(now), Some(QUIET));
        assert_eq!(damper.flaps(now + QUIET / 2), Some(QUIET / 2));
        assert_eq!(damper.flaps(now + QUIET), None, "without a write");
        damper.wrote(1, now + QUIET * 2);
        assert_eq!(damper.flaps(now + QUIET * 2), None);
    }
}
