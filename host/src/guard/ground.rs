//! The ground for holding an endpoint port, and when it is let go.

use std::time::Instant;

use super::guard_input::GuardInput;
use super::hold::Kind;
use super::settings::Settings;

/// Answers that must agree, beside the first, before a mass removal is believed.
const AGREEING: u64 = 2;

/// The ground for holding an endpoint port.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) kind: Kind,
    pub(super) since: Instant,
    /// How much was gone at the worst, between half (0) and all (1), which says how long it is held; what comes back makes it no
    /// less. `None` if it does not end by time.
    pub(super) depth: Option<f64>,
    /// The registry's answers by the beginning.
    pub(super) answers: u64,
}

impl Ground {
    /// When it is let go by the settings as they are now; `None` if not by time.
    pub(super) fn until(&self, settings: &Settings) -> Option<Instant> {
        settings.hold_of(self.depth?).end(self.since)
    }

    /// Whether the registry has said it for long enough, and often enough. A hold of no time holds nothing.
    pub(super) fn is_over(&self, input: &GuardInput<'_>) -> bool {
        let end = self.until(&input.settings);
        end == Some(self.since)
            || end.is_some_and(|end| end <= input.now)
                && input.is_answered
                && input.answers >= self.answers.saturating_add(AGREEING)
    }
}
