//! The writes of one entry: the last one, the one that was refused, and how they follow each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backoff;
use crate::hash::hash;
use crate::istio::ServiceEntry;
use crate::plan::Desired;
use crate::writes::FlapDamper;

/// When content that was refused is tried again: at first, and at the longest after doubling. It would be refused for good by
/// the API server's own rules; but a webhook or a policy that refuses has the same words, and may be mended any time.
const REFUSED_RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// When a write that did not arrive is tried again: at first, and at the longest after doubling. Spread, so that a thousand
/// entries do not come at once.
const FAILURE_RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The writes of one entry.
#[derive(Default)]
pub(super) struct WriteState {
    pub(super) damper: FlapDamper,
    /// The last write, until the watch shows it.
    written: Option<Written>,
    refused: Option<Refused>,
    /// Tries in a row that the server did not take.
    failures: u32,
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
        self.damper.wrote(hash((resolution, location, ports, endpoints, annotations)), now);
        self.refused = None;
        self.failures = 0;
        self.urgent = false;
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
    pub(super) fn note_failure(&mut self) -> Duration {
        self.failures += 1;
        backoff::after(self.failures, FAILURE_RETRY)
    }
}
