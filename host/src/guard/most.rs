//! The most endpoints that an entry had lately, as an annotation of the entry itself: it is written along with a loss that is
//! believed, costs no write of its own, and outlives whatever else is lost. So a loss that goes on over a restart is one loss.

use std::time::Instant;

use jiff::Timestamp;

use super::entry::Guard;
use super::guard_input::GuardInput;
use super::loss::Level;
use crate::annotation::MOST;
use crate::clock;
use crate::istio::ServiceEntry;
use crate::plan::Desired;

impl Guard {
    /// Says with a write of endpoints how many there were lately, if there were more. Without such a write all stays as it is.
    pub(super) fn note_most(&self, desired: &mut Desired, input: &GuardInput<'_>) {
        let said = if desired.endpoints[..] == input.live.spec.endpoints[..] {
            input.live.annotation(MOST).map(str::to_owned)
        } else {
            let most = self.present.as_ref().and_then(|level| level.most(input.settings.loss_window, input.now));
            most.map(|(most, until)| format!("{most} until {}", clock::wall(until).strftime("%FT%TZ")))
        };
        desired.annotations.extend(said.map(|said| (MOST.to_owned(), said)));
    }
}

impl Level {
    /// The level of an entry that this process begins with: it has so many, and says how many it had lately.
    pub(super) fn of_entry(count: usize, input: &GuardInput<'_>) -> Self {
        let mut level = Self::of(count, input.now);
        if let Some((most, left)) = said(input.live, input.now) {
            let window = input.settings.loss_window;
            level.remember(most, input.now.checked_sub(window.saturating_sub(left)).unwrap_or(input.now), input.now);
        }
        level
    }
}

/// The most that an entry says it had, and for how long that counts.
fn said(entry: &ServiceEntry, now: Instant) -> Option<(usize, std::time::Duration)> {
    let (most, until) = entry.annotation(MOST)?.split_once(" until ")?;
    let left = until.parse::<Timestamp>().ok()?.duration_since(clock::wall(now));
    let left = std::time::Duration::try_from(left).ok().filter(|left| !left.is_zero())?;
    Some((most.parse().ok()?, left))
}
