//! The truth about the registry over time, as the journal has it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Notes;
use crate::journal::{Fate, Note, Place};

/// How old, at most, is what a write was made for: a poll, an answer that is late, a write that waits its turn.
pub(super) const STALE: Duration = Duration::from_secs(25);

type Places = BTreeMap<Place, Fate>;

/// Listings and registrations of all services, by time.
#[derive(Default)]
pub(super) struct Truth {
    listings: BTreeMap<String, Vec<(Duration, Places)>>,
    /// Whether there is such a service at all.
    known: BTreeMap<String, Vec<(Duration, bool)>>,
    registrations: BTreeMap<String, Vec<(Duration, Places)>>,
    /// The times at which a person let go of what is held.
    released: Vec<Duration>,
    /// From when on a person had promoted a module.
    pub(super) promoted: Option<Duration>,
    /// When the world was made sound.
    pub(super) sound: Duration,
}

impl Truth {
    pub(super) fn of(notes: &Notes) -> Self {
        let mut truth = Self::default();
        for (at, note) in notes {
            match note {
                Note::Listed { service, places } => {
                    from_then_on(&mut truth.known, service, *at, places.is_some());
                    let places = places.clone().unwrap_or_default();
                    from_then_on(&mut truth.listings, service, *at, places);
                }
                Note::Registered { service, places } => {
                    from_then_on(&mut truth.registrations, service, *at, places.clone());
                }
                Note::Released => truth.released.push(*at),
                Note::Sound => truth.sound = *at,
                Note::Did(event) if event == "Promote" => {
                    truth.promoted.get_or_insert(*at);
                }
                _ => {}
            }
        }
        truth
    }

    /// The listings of a service that a write at this time may have been made for, each with its beginning and its end.
    pub(super) fn recent(&self, service: &str, at: Duration) -> Vec<(Duration, Duration, &Places)> {
        let all = self.listings.get(service).map(Vec::as_slice).unwrap_or_default();
        let ends = all.iter().skip(1).map(|(begins, _)| *begins).chain([Duration::MAX]);
        let spans = all.iter().zip(ends).map(|((begins, places), ends)| (*begins, ends, places));
        spans.filter(|(begins, ends, _)| *begins <= at && *ends >= at.saturating_sub(STALE)).collect()
    }

    /// The listing of a service at a time.
    pub(super) fn listed(&self, service: &str, at: Duration) -> Option<&Places> {
        at_time(self.listings.get(service)?, at)
    }

    pub(super) fn registered(&self, service: &str, at: Duration) -> Option<&Places> {
        at_time(self.registrations.get(service)?, at)
    }

    /// Whether the registry ever listed a place of the service until then.
    pub(super) fn ever_listed(&self, service: &str, place: &Place, at: Duration) -> bool {
        let all = self.listings.get(service).into_iter().flatten();
        all.take_while(|(begins, _)| *begins <= at).any(|(_, places)| places.contains_key(place))
    }

    /// The most fit instances that a service ever listed.
    pub(super) fn most(&self, service: &str) -> usize {
        self.listings.get(service).into_iter().flatten().map(|(_, places)| fit(places).count()).max().unwrap_or(0)
    }

    /// How many fit ones were listed when a place was listed last.
    pub(super) fn listed_beside(&self, service: &str, place: &Place, at: Duration) -> usize {
        let all = self.listings.get(service).map(Vec::as_slice).unwrap_or_default();
        let until = all.iter().rev().skip_while(|(begins, _)| *begins > at);
        until
            .map(|(_, places)| places)
            .find(|places| places.contains_key(place))
            .map_or(0, |places| fit(places).count())
    }

    /// For how long a place was away without a break, at its longest within what a write may be about.
    pub(super) fn away(&self, service: &str, place: &Place, at: Duration) -> Duration {
        let all = self.listings.get(service).map(Vec::as_slice).unwrap_or_default();
        let (mut since, mut longest) = (None, Duration::ZERO);
        for (begins, places) in all.iter().take_while(|(begins, _)| *begins <= at) {
            if places.contains_key(place) {
                if let Some(since) = since.take().filter(|_| *begins >= at.saturating_sub(STALE)) {
                    longest = longest.max(*begins - since);
                }
            } else {
                since.get_or_insert(*begins);
            }
        }
        since.map_or(longest, |since| longest.max(at - since))
    }

    /// Whether the registry ever knew the service until then.
    pub(super) fn ever_known(&self, service: &str, at: Duration) -> bool {
        let all = self.known.get(service).into_iter().flatten();
        all.take_while(|(begins, _)| *begins <= at).any(|(_, known)| *known)
    }

    /// For how long there was no such service without a break, at its longest within what a write may be about.
    pub(super) fn gone(&self, service: &str, at: Duration) -> Duration {
        let all = self.known.get(service).map(Vec::as_slice).unwrap_or_default();
        let (mut since, mut longest) = (None, Duration::ZERO);
        for (begins, known) in all.iter().take_while(|(begins, _)| *begins <= at) {
            match known {
                false => drop(since.get_or_insert(*begins)),
                true => {
                    if let Some(since) = since.take().filter(|_| *begins >= at.saturating_sub(STALE)) {
                        longest = longest.max(*begins - since);
                    }
                }
            }
        }
        since.map_or(longest, |since| longest.max(at - since))
    }

    pub(super) fn was_released(&self, at: Duration) -> bool {
        self.released.iter().any(|released| *released <= at && at - *released <= Duration::from_secs(60))
    }

    /// Services of these of which the registry lists at most half of what is registered.
    pub(super) fn robbed<'a>(&self, services: &BTreeSet<&'a str>, at: Duration) -> Vec<&'a str> {
        let robbed = |service: &&str| {
            let registered = self.registered(service, at).map(|places| fit(places).count()).unwrap_or_default();
            let listed = self.listed(service, at).map(|places| fit(places).count()).unwrap_or_default();
            registered > 0 && listed * 2 <= registered
        };
        services.iter().copied().filter(robbed).collect()
    }
}

/// Notes what is so from a time on. What was so for no time was never so.
fn from_then_on<T>(all: &mut BTreeMap<String, Vec<(Duration, T)>>, service: &str, at: Duration, state: T) {
    let all = all.entry(service.to_owned()).or_default();
    all.pop_if(|(begins, _)| *begins == at);
    all.push((at, state));
}

/// The fit ones.
pub(super) fn fit(places: &Places) -> impl Iterator<Item = &Place> {
    places.iter().filter(|(_, fate)| **fate == Fate::Fit).map(|(place, _)| place)
}

fn at_time(all: &[(Duration, Places)], at: Duration) -> Option<&Places> {
    all.iter().rev().find(|(begins, _)| *begins <= at).map(|(_, places)| places)
}
