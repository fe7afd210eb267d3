//! The memory that the replicas take, against the limit that they are installed with.

use std::fmt;
use std::time::Duration;

use polaris2istio_tests::memory;

use super::super::controller::Controller;

/// The limit of the shipped manifests, in MiB.
const LIMIT: u64 = 512;
/// A shorter run says nothing of what grows.
const LONG: Duration = Duration::from_secs(600);
/// How much more the last fifth may take than the one in the middle.
const FLAT: f64 = 1.05;

/// The larger one of the replicas, in MiB, again and again.
#[derive(Default)]
pub(super) struct Memory(Vec<u64>);

impl Memory {
    pub(super) fn note(&mut self, replicas: &[Controller]) {
        let largest =
            replicas.iter().filter_map(|replica| memory(replica.process.id())).map(|one| one.resident / 1024).max();
        self.0.extend(largest);
    }

    /// Whether it stays below the limit and, if it was looked at for long, does not grow.
    pub(super) fn is_flat(&self, time: Duration) -> bool {
        let below = self.0.iter().all(|one| *one < LIMIT);
        let fifth = (self.0.len() / 5).max(1);
        let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len().max(1) as f64;
        let middle = self.0.len() / 2;
        let grown = mean(&self.0[self.0.len() - fifth..]) / mean(&self.0[middle - fifth / 2..][..fifth]);
        below && (time < LONG || grown <= FLAT)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0.last().copied().unwrap_or_default())
    }
}
