//! Counters of what happens, as it happens.

use std::fmt;
use std::time::Duration;

use polaris2istio_core::model::Verdict;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::plan::ApplyError;
use crate::plan::Change;

type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// Bounds in seconds. From a millisecond, since a write takes several; to minutes, since a registry or an API server may be away.
const WAY: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// A conversion takes a fraction of a millisecond, and is ended after seconds.
const CALL: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5];

/// The counters of one process.
pub struct Metrics {
    propagation: Histogram,
    conversions: Labelled,
    conversion_time: Histogram,
    writes: Labelled,
    write_time: Histogram,
    endpoints: Labelled,
}

impl Default for Metrics {
    /// All series that there can be, at zero: a rate needs a first value.
    fn default() -> Self {
        let metrics = Self {
            propagation: Histogram::new(WAY),
            conversions: Family::default(),
            conversion_time: Histogram::new(CALL),
            writes: Family::default(),
            write_time: Histogram::new(WAY),
            endpoints: Family::default(),
        };
        for outcome in ["update", "unchanged", "rejected", "failed"] {
            let _ = metrics.conversions.get_or_create_owned(&[("outcome", outcome)]);
        }
        for result in ["written", "stale", "gone", "refused", "forbidden", "unavailable"] {
            let _ = metrics.writes.get_or_create_owned(&[("result", result)]);
        }
        for change in ["added", "removed", "changed"] {
            let _ = metrics.endpoints.get_or_create_owned(&[("change", change)]);
        }
        metrics
    }
}

impl Metrics {
    /// Counts a call of a module; without a verdict it gave nothing usable.
    pub fn count_conversion(&self, verdict: Option<&Verdict>, took: Duration) {
        let outcome = match verdict {
            Some(Verdict::Update(_)) => "update",
            Some(Verdict::Unchanged) => "unchanged",
            Some(Verdict::Rejected) => "rejected",
            None => "failed",
        };
        self.conversions.get_or_create(&[("outcome", outcome)]).inc();
        self.conversion_time.observe(took.as_secs_f64());
    }

    /// Counts a write that was tried.
    pub fn count_write(&self, error: Option<&ApplyError>, took: Duration, change: &Change) {
        let result = match error {
            None => "written",
            Some(ApplyError::Stale) => "stale",
            Some(ApplyError::Gone) => "gone",
            Some(ApplyError::Refused { .. }) => "refused",
            Some(ApplyError::Forbidden { .. }) => "forbidden",
            Some(ApplyError::Unavailable { .. }) => "unavailable",
        };
        self.writes.get_or_create(&[("result", result)]).inc();
        self.write_time.observe(took.as_secs_f64());
        if error.is_none() {
            for (kind, count) in [("added", change.added), ("removed", change.removed), ("changed", change.changed)] {
                self.endpoints.get_or_create(&[("change", kind)]).inc_by(count as u64);
            }
        }
    }

    /// Measures the way of an answer to the API server's acknowledgement.
    pub fn observe_propagation(&self, took: Duration) {
        self.propagation.observe(took.as_secs_f64());
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let of = |metric: &Labelled| metric.clone();
        registry.register_with_unit(
            "propagation",
            "Time from a registry's answer to the acknowledged write that it led to",
            Unit::Seconds,
            self.propagation.clone(),
        );
        registry.register("conversions", "Calls of conversion modules by what came of them", of(&self.conversions));
        registry.register_with_unit(
            "conversion_duration",
            "Time that calls of conversion modules took",
            Unit::Seconds,
            self.conversion_time.clone(),
        );
        registry.register("writes", "Writes of ServiceEntries by what came of them", of(&self.writes));
        registry.register_with_unit(
            "write_duration",
            "Time that writes of ServiceEntries took, whatever came of them",
            Unit::Seconds,
            self.write_time.clone(),
        );
        registry.register(
            "endpoint_changes",
            "Endpoints in writes that were taken, by kind of change",
            of(&self.endpoints),
        );
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
