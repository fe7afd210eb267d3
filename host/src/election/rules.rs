//! Decides who may acquire a lease, and when: pure, with the clock passed in.

use std::time::{Duration, Instant};

use super::record::Record;

/// The part of its time after which a lease counts as abandoned, and its holder stops: so that the next leader is found
/// within the whole of it.
const LAPSES: f64 = 0.9;

/// The next step of a replica that has read the lease.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The lease is ours, or free: write our name into it.
    Take,
    /// Another replica holds it.
    Wait,
}

/// The lease as it was last seen to change.
#[derive(Debug, Default)]
pub(super) struct Watched {
    seen: Option<(Record, Instant)>,
}

impl Watched {
    /// Notes the lease that a request showed which ended at `now`, and decides.
    pub(super) fn step(&mut self, record: Option<&Record>, own: &str, now: Instant) -> Step {
        let Some(record) = record else { return Step::Take };
        let since = match &self.seen {
            Some((seen, since)) if seen == record => *since,
            _ => {
                self.seen = Some((record.clone(), now));
                now
            }
        };
        let free = record.holder.is_empty() || record.holder == own;
        if free || now.duration_since(since) >= usable(record.duration) { Step::Take } else { Step::Wait }
    }
}

/// The time for which a lease of this duration may be used, counted from before it was requested.
pub(super) fn usable(duration: Duration) -> Duration {
    duration.mul_f64(LAPSES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(holder: &str, renewed: &str) -> Record {
        Record {
            holder: holder.into(),
            duration: Duration::from_secs(15),
            renewed: renewed.into(),
            transitions: 0,
            serves: None,
        }
    }

    /// An observation: its second, the lease, and the expected step.
    type Observation = (u64, Option<(&'static str, &'static str)>, Step);

    #[track_caller]
    fn check(observations: &[Observation]) {
        let (mut watched, start) = (Watched::default(), Instant::now());
        for (number, (after, shown, expected)) in observations.iter().enumerate() {
            let record = shown.map(|(holder, renewed)| record(holder, renewed));
            let step = watched.step(record.as_ref(), "me", start + Duration::from_secs(*after));
            assert_eq!(step, *expected, "observation {number}");
        }
    }

    #[test]
    fn takes_what_is_free() {
        check(&[(0, None, Step::Take)]);
        check(&[(0, Some(("", "1")), Step::Take)]);
        check(&[(0, Some(("me", "1")), Step::Take)]);
    }

    #[test]
    fn waits_for_the_time_that_it_saw_itself() {
        check(&[
            // However old the record's own time is: clocks differ.
            (0, Some(("other", "long ago")), Step::Wait),
            (13, Some(("other", "long ago")), Step::Wait),
            (14, Some(("other", "long ago")), Step::Take),
        ]);
    }

    #[test]
    fn a_renewal_begins_the_time_anew() {
        check(&[
            (0, Some(("other", "1")), Step::Wait),
            (13, Some(("other", "2")), Step::Wait),
            (26, Some(("other", "2")), Step::Wait),
            (26, Some(("third", "2")), Step::Wait),
            (39, Some(("third", "2")), Step::Wait),
            (40, Some(("third", "2")), Step::Take),
        ]);
    }
}
