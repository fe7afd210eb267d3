//! How many endpoint ports an entry has over time, and what the fleet is told of it.

use std::time::{Duration, Instant};

use super::entry::Guard;
use super::fleet::{Fleet, WINDOW as FLEET_WINDOW};
use super::guard_input::GuardInput;
use super::loss::{Level, Loss};

/// How many endpoint ports there are, by what is to be counted.
pub(super) struct Counts {
    /// By the last decision, with what is held.
    pub(super) endpoint_ports: usize,
    /// Of these, taken out of service on purpose.
    pub(super) taken_out: usize,
    /// Of these, unhealthy, and not so by an earlier decision.
    pub(super) unhealthy: usize,
    /// Given by the module, or dropped by it and listed as fit.
    pub(super) there: usize,
}

/// Endpoint ports that somebody isolated within the fleet's window, and since when.
#[derive(Debug, Default)]
pub(super) struct Isolated(Option<(Instant, usize)>);

impl Guard {
    /// Takes in how many endpoint ports there are now, and tells the fleet. Returns the loss of what was listed, if there is one.
    pub(super) fn count(&mut self, counts: &Counts, input: &GuardInput<'_>, fleet: &Fleet) -> Option<Loss> {
        let window = input.settings.loss_window;
        let holds = self.held.values().any(|ground| ground.kind.is_of_registry());
        let listed = self.present.get_or_insert_with(|| Level::of_entry(counts.endpoint_ports, input));
        let fit = self.fit.get_or_insert_with(|| Level::of(counts.endpoint_ports, input.now));
        listed.take_out(counts.taken_out + counts.unhealthy);
        fit.take_out(counts.taken_out);
        let loss = listed.count(counts.there, holds, window, input.now);
        let of_fleet = fit.count(counts.there, holds, window, input.now);
        self.unsure &= of_fleet.is_some();
        let half = of_fleet.is_some_and(|loss| loss.is_half() || self.unsure);
        match self.half_lost {
            None if half => {
                fleet.note_loss(input.service, input.now);
                self.half_lost = Some(input.now);
            }
            Some(_) if !half => {
                fleet.note_return(input.service);
                self.half_lost = None;
            }
            // It has raised no alarm, so it is believed.
            Some(since) if !holds && is_past(since, input.now, FLEET_WINDOW) => {
                fit.believe(counts.there);
                fleet.note_return(input.service);
                self.half_lost = None;
            }
            _ => {}
        }
        if !half {
            fit.believe(counts.there);
        }
        loss
    }

    /// Tells the fleet if somebody has isolated half of the entry's endpoint ports or more within its window.
    pub(super) fn note_isolated(&mut self, isolated: usize, left: usize, input: &GuardInput<'_>, fleet: &Fleet) {
        if isolated == 0 {
            return;
        }
        let Isolated(earlier) = self.isolated;
        let (since, before) =
            earlier.filter(|(since, _)| !is_past(*since, input.now, FLEET_WINDOW)).unwrap_or((input.now, 0));
        let all = before + isolated;
        self.isolated = Isolated(Some((since, all)));
        if all >= left {
            fleet.note_isolated(input.service, input.now);
        }
    }

    /// So many endpoint ports go that the registry did not lose.
    pub(super) fn take_out(&mut self, count: usize) {
        self.present.iter_mut().chain(&mut self.fit).for_each(|level| level.take_out(count));
    }
}

fn is_past(since: Instant, now: Instant, window: Duration) -> bool {
    now.saturating_duration_since(since) > window
}
