//! The writes of one entry: the last one, the one that was refused, and how they follow each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::annotation::MOST;
use crate::backoff;
use crate::hash::hash;
use crate::istio::ServiceEntry;
use crate::plan::Desired;
use crate::writes::{FlapDamper, Lane};

/// When content that was refused is tried again: at first, and at the longest after doubling. It would be refused for good by
/// the API server's own rules; but a webhook or a policy that refuses has the same words, and may be mended any time.
const REFUSED_RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// When a write that did not arrive is tried again: at first, and at the longest after doubling. Spread, so that a thousand
/// entries do not come at once.
const FAILURE_RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// When an entry that had changed meanwhile is written again: at first, and at the longest after doubling. The watch brings the
/// newer state; this is for the case that it brought it already, or is late.
const STALE_RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// The longest rest once the watch shows a newer state: another one may write all the time.
const NEWER_RETRY: Duration = Duration::from_millis(250);

/// Something urgent is not kept waiting for longer, as another way may lead around what failed.
const URGENT_RETRY: Duration = Duration::from_secs(2);

/// The writes of one entry.
#[derive(Default)]
pub(super) struct WriteState {
    pub(super) damper: FlapDamper,
    /// The last write, until the watch shows it.
    written: Option<Written>,
    /// The last content, and the registry's revision that it was for.
    last: Option<(u64, String)>,
    /// The last write brought other content for the same answer of the registry: the module's doing.
    pub(super) changed_alone: bool,
    refused: Option<Refused>,
    /// Tries in a row that the server did not take.
    failures: u32,
    /// Tries in a row for which the entry was too old, and its version by the last one.
    stale: (u32, Option<String>),
    /// Not tried again before.
    rests_until: Option<Instant>,
    /// Whether the next write takes something away on purpose.
    pub(super) urgent: bool,
    /// Answers after this one have not led to a write yet that would be measured.
    pub(super) measured: Option<tokio::time::Instant>,
}

struct Written {
    /// The versions that were written over, and that the watch may still show.
    bases: Vec<Option<String>>,
    entry: Arc<ServiceEntry>,
}

struct Refused {
    desired: Desired,
    version: Option<String>,
    at: Instant,
    /// How long it is not tried again.
    wait: Duration,
}

impl WriteState {
    /// The entry as it is, as far as this process knows: its own write is known before the watch shows it.
    pub(super) fn freshest(&mut self, seen: Arc<ServiceEntry>) -> Arc<ServiceEntry> {
        let version = &seen.metadata.resource_version;
        match &self.written {
            Some(written) if written.entry.metadata.resource_version == *version => {}
            Some(written) if written.bases.contains(version) => return Arc::clone(&written.entry),
            _ => {}
        }
        self.written = None;
        seen
    }

    /// Notes a write: the entry as it was, and as it is.
    pub(super) fn note_written(&mut self, base: &ServiceEntry, entry: ServiceEntry, desired: &Desired, now: Instant) {
        let mut bases = self.written.take().map(|written| written.bases).unwrap_or_default();
        bases.push(base.metadata.resource_version.clone());
        self.written = Some(Written { bases, entry: Arc::new(entry) });
        let Desired { resolution, location, ports, endpoints, annotations, revision: _ } = desired;
        // This one has a time in it.
        let annotations: Vec<_> = annotations.iter().filter(|(key, _)| *key != MOST).collect();
        let content = hash((resolution, location, ports, endpoints, annotations));
        let same_answer = self.last.as_ref().filter(|(_, revision)| *revision == desired.revision);
        self.changed_alone = same_answer.is_some_and(|(last, _)| *last != content);
        self.last = Some((content, desired.revision.clone()));
        self.damper.wrote(content, now);
        self.refused = None;
        self.end_failures();
        self.urgent = false;
    }

    /// Forgets tries that came to nothing: one did, or none is needed any more.
    pub(super) fn end_failures(&mut self) {
        (self.failures, self.stale, self.rests_until) = (0, (0, None), None);
    }

    /// The lane of the next write. What the last good module had published is as urgent as what somebody takes away.
    pub(super) fn lane(&self, restored: bool) -> Lane {
        match self.failures {
            0 if self.urgent || restored => Lane::Urgent,
            0 => Lane::Ordinary,
            _ => Lane::Suspect,
        }
    }

    /// How long the next write rests: after a failure, and so that writes do not follow each other too fast.
    pub(super) fn rest(&self, lane: Lane, live: &ServiceEntry, now: Instant) -> Duration {
        let failed = self.rests_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let (stale, version) = &self.stale;
        let is_newer = *stale > 0 && *version != live.metadata.resource_version;
        let most = if is_newer {
            NEWER_RETRY
        } else if self.urgent {
            URGENT_RETRY
        } else {
            failed
        };
        let failed = failed.min(most);
        failed.max(self.damper.wait(now, lane == Lane::Urgent))
    }

    /// Notes that the entry had changed before it was written. Returns when to try again, and how often that was so in a row.
    pub(super) fn note_stale(&mut self, live: &ServiceEntry, now: Instant) -> (Duration, u32) {
        self.stale = (self.stale.0 + 1, live.metadata.resource_version.clone());
        let rest = backoff::after(self.stale.0, STALE_RETRY);
        self.rests_until = Some(now + rest);
        (rest, self.stale.0)
    }

    /// Notes that the server refused this content for this state of the entry. Returns when to try it again.
    pub(super) fn note_refused(&mut self, desired: Desired, live: &ServiceEntry, now: Instant) -> Duration {
        let (first, longest) = REFUSED_RETRY;
        let wait = self.refused.as_ref().map_or(first, |refused| (refused.wait * 2).min(longest));
        self.refused = Some(Refused { desired, version: live.metadata.resource_version.clone(), at: now, wait });
        wait
    }

    /// How long this content need not be tried, since it was refused for this state of the entry.
    pub(super) fn refused_for(&self, desired: &Desired, live: &ServiceEntry, now: Instant) -> Option<Duration> {
        let refused = self.refused.as_ref()?;
        let same = refused.version == live.metadata.resource_version && refused.desired == *desired;
        let rest = (refused.at + refused.wait).saturating_duration_since(now);
        (same && !rest.is_zero()).then_some(rest)
    }

    /// Notes that a write did not arrive. Returns when to try it again.
    pub(super) fn note_failure(&mut self, now: Instant) -> Duration {
        self.failures += 1;
        let rest = backoff::after(self.failures, FAILURE_RETRY);
        self.rests_until = Some(now + rest);
        if self.urgent { rest.min(URGENT_RETRY) } else { rest }
    }
}

#[cfg(test)]
mod tests {
    use polaris2istio_core::model::Update;

    use super::*;

    #[test]
    fn tries_that_fail_come_seldomer_and_what_is_urgent_waits_little() {
        let (mut writes, now) = (WriteState::default(), Instant::now());
        let mut live = ServiceEntry::default();
        assert_eq!((writes.lane(false), writes.rest(Lane::Ordinary, &live, now)), (Lane::Ordinary, Duration::ZERO));
        let waits: Vec<_> = (0..12).map(|_| writes.note_stale(&live, now).0).collect();
        assert!(waits[0] <= Duration::from_millis(100) && waits[11] >= Duration::from_secs(5), "{waits:?}");
        assert!(writes.rest(Lane::Ordinary, &live, now) >= Duration::from_secs(5));
        live.metadata.resource_version = Some("8".into());
        assert_eq!(writes.rest(Lane::Ordinary, &live, now), NEWER_RETRY, "the watch shows another version");
        live.metadata.resource_version = None;
        for _ in 0..12 {
            writes.note_failure(now);
        }
        assert_eq!(writes.lane(false), Lane::Suspect);
        writes.urgent = true;
        assert_eq!(writes.rest(Lane::Suspect, &live, now), URGENT_RETRY);
        assert_eq!(writes.lane(false), Lane::Suspect, "it may hang again");
    }

    #[test]
    fn other_content_for_the_same_answer_is_the_modules_doing() {
        let (mut writes, now, live) = (WriteState::default(), Instant::now(), ServiceEntry::default());
        let mut wrote = |annotation: &str, revision: &str| {
            let annotations = vec![("a".to_owned(), annotation.to_owned())];
            let update = Update {
                resolution: None,
                location: None,
                ports: Vec::new(),
                endpoints: Vec::new(),
                annotations,
                content_revision: None,
            };
            let desired = Desired::new(update, "shop/cart".into(), revision.into());
            writes.note_written(&live, ServiceEntry::default(), &desired, now);
            writes.changed_alone
        };
        assert!(!wrote("1", "r1") && !wrote("2", "r2"), "the registry's doing");
        assert!(wrote("1", "r2"));
        assert!(!wrote("1", "r2"), "put back after another writer");
    }
}
