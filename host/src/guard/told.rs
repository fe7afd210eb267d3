//! What of an entry is held, as the status, the log and the next process have it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::entry::Guard;
use super::guard_input::GuardInput;
use super::hold::{Hold, Kind, Reason};
use super::loss::{Level, Loss};
use super::past::PastHold;
use crate::annotation::{PROTOCOL, SOURCE};
use crate::registry::Content;

/// How often it is looked whether the registry has answered again, once a hold's time is over.
const WAIT_FOR_ANSWERS: Duration = Duration::from_secs(2);

impl Guard {
    pub(super) fn holds(&self, of: usize, input: &GuardInput<'_>) -> Vec<Hold> {
        let kinds = [Kind::Empty, Kind::Removal, Kind::Fleet, Kind::Rebound, Kind::Module, Kind::Annotation];
        kinds.into_iter().filter_map(|kind| self.hold(kind, of, input)).collect()
    }

    fn hold(&self, kind: Kind, of: usize, input: &GuardInput<'_>) -> Option<Hold> {
        let grounds = || self.held.values().filter(|ground| ground.kind == kind);
        let since = grounds().map(|ground| ground.since).min()?;
        let endpoints = grounds().count();
        let reason = match (kind, input.content) {
            (Kind::Empty, Content::Missing) => Reason::Missing,
            (Kind::Empty, Content::Listed(_)) => Reason::Empty,
            (Kind::Removal, _) => {
                let loss = self.present.as_ref().map_or(Loss { left: 0, best: of }, Level::present);
                Reason::Removal { gone: loss.gone(), of: loss.best, within: input.settings.loss_window }
            }
            (Kind::Fleet, _) => Reason::Fleet,
            (Kind::Rebound, _) => {
                Reason::Rebound { from: input.live.annotation(SOURCE).unwrap_or_default().to_owned() }
            }
            (Kind::Module, _) => Reason::Module { dropped: endpoints, of },
            (Kind::Annotation, _) => {
                Reason::Annotation { asked: input.live.annotation(PROTOCOL).unwrap_or_default().to_owned() }
            }
        };
        // The last of them; `None` sorts first, and means not by time.
        let until = grounds()
            .map(|ground| ground.until(&input.settings))
            .try_fold(input.now, |last, until| Some(last.max(until?)));
        Some(Hold { kind, reason, since, until, endpoints })
    }

    /// In what time to look again at a hold that ends then. Endpoint ports of one hold end one after the other, and one whose time is
    /// over may wait for answers.
    pub(super) fn recheck_after(&self, until: Instant, input: &GuardInput<'_>) -> Duration {
        let ends = self.held.values().filter_map(|ground| ground.until(&input.settings));
        let rest = ends.chain([until]).min().unwrap_or(until).saturating_duration_since(input.now);
        if rest.is_zero() { WAIT_FOR_ANSWERS } else { rest }
    }

    /// The holds that end by time, for the next process: those of the same time and depth together.
    pub(super) fn past(&self) -> Vec<PastHold> {
        let mut groups: HashMap<(Instant, Kind, u64), PastHold> = HashMap::new();
        for (endpoint_port, ground) in &self.held {
            let Some(depth) = ground.depth else { continue };
            let new = || PastHold { since: ground.since, kind: ground.kind, depth, places: Vec::new() };
            let group = groups.entry((ground.since, ground.kind, depth.to_bits())).or_insert_with(new);
            group.places.push(endpoint_port.clone());
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.iter_mut().for_each(|group| group.places.sort_unstable());
        groups.sort_unstable_by_key(|group| (group.since, group.depth.to_bits()));
        groups
    }
}
