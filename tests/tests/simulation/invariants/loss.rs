//! Nothing fit is lost beyond what the guard's table allows, at no instant and through no restart, unless somebody did it on
//! purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::truth::{Truth, fit};
use super::{Found, Notes};
use crate::journal::{Fate, Note, Place, Shown, Writer};
use crate::replicas::{EMPTY_HOLD, REMOVAL_HOLD};

/// Losses count against the most that there was within this time.
const WINDOW: Duration = Duration::from_secs(600);

/// Of fewer, only the loss of all is a mass.
const MASS: usize = 4;

/// An entry, as long as it names one service.
#[derive(Default)]
struct Followed {
    shown: Shown,
    /// The fit ones that it had, over time.
    had: Vec<(Duration, BTreeSet<Place>)>,
    /// Those that went on purpose, and are no loss.
    let_go: BTreeSet<Place>,
}

pub(super) fn judge(notes: &Notes, truth: &Truth) -> Vec<Found> {
    let (mut entries, mut found) = (BTreeMap::<&str, Followed>::new(), Vec::new());
    for (at, note) in notes {
        let Note::Entry { name, by, shown } = note else { continue };
        let Some(shown) = shown else {
            entries.remove(name.as_str());
            continue;
        };
        let services: BTreeSet<_> = entries.values().map(|known| known.shown.service.clone()).collect();
        let known = entries.entry(name).or_default();
        if known.shown.uid != shown.uid || known.shown.service != shown.service || !shown.labelled {
            *known = Followed::default();
        } else if matches!(by, Writer::Replica(_)) {
            let write = Write { name, at: *at, before: &known.shown, after: shown, truth };
            let services = services.iter().map(String::as_str).collect();
            found.extend(write.judge(&known.had, &mut known.let_go, &services));
        } else {
            // What another writer takes away is nobody's loss here: it is put back.
            known.let_go.extend(known.shown.places.difference(&shown.places).cloned());
        }
        known.let_go.retain(|place| !shown.places.contains(place));
        known.shown = shown.clone();
        let listed = truth.listed(&shown.service, *at).map(|places| fit(places).cloned().collect::<BTreeSet<_>>());
        known.had.push((*at, shown.places.intersection(&listed.unwrap_or_default()).cloned().collect()));
    }
    found
}

/// One write of a replica.
struct Write<'a> {
    name: &'a str,
    at: Duration,
    before: &'a Shown,
    after: &'a Shown,
    truth: &'a Truth,
}

impl Write<'_> {
    fn judge(
        &self,
        had: &[(Duration, BTreeSet<Place>)],
        let_go: &mut BTreeSet<Place>,
        services: &BTreeSet<&str>,
    ) -> Vec<Found> {
        let removed: Vec<_> = self.before.places.difference(&self.after.places).cloned().collect();
        if removed.is_empty() {
            return Vec::new();
        }
        let (excused, taken): (Vec<_>, Vec<_>) = removed.into_iter().partition(|place| self.is_on_purpose(place));
        let_go.extend(excused);
        let (dropped, vanished): (Vec<_>, Vec<_>) = taken.into_iter().partition(|place| self.is_listed(place));
        let mut found = Vec::new();
        found.extend(self.judge_dropped(&dropped));
        // What the module was let drop is no loss of the registry's.
        let_go.extend(dropped);
        found.extend(self.judge_vanished(&vanished, had, let_go));
        found.extend(self.judge_robbed(&vanished, services));
        found
    }

    /// Not of this service, released, or taken out of it by somebody.
    fn is_on_purpose(&self, place: &Place) -> bool {
        let recent = self.truth.recent(&self.after.service, self.at);
        !self.truth.ever_listed(&self.after.service, place, self.at)
            || self.truth.was_released(self.at)
            || recent.iter().any(|(.., places)| places.get(place).is_some_and(|fate| *fate != Fate::Fit))
    }

    /// Listed as fit by all answers that it may be about.
    fn is_listed(&self, place: &Place) -> bool {
        let recent = self.truth.recent(&self.after.service, self.at);
        recent.iter().all(|(.., places)| places.get(place) == Some(&Fate::Fit))
    }

    fn judge_dropped(&self, dropped: &[Place]) -> Option<Found> {
        let of = self.before.places.len();
        if dropped.is_empty() || self.truth.promoted.is_some() || dropped.len() * 10 <= of {
            return None;
        }
        Some(Found::at(
            "dropped",
            self.at,
            format!("{} lost {} of {of} that are listed as fit", self.name, dropped.len()),
        ))
    }

    fn judge_vanished(
        &self,
        vanished: &[Place],
        had: &[(Duration, BTreeSet<Place>)],
        let_go: &BTreeSet<Place>,
    ) -> Option<Found> {
        if vanished.is_empty() {
            return None;
        }
        let window = had.iter().filter(|(at, _)| self.at.saturating_sub(*at) < WINDOW);
        let best = window.map(|(_, places)| places.difference(let_go).count()).max().unwrap_or(0);
        let recent = self.truth.recent(&self.after.service, self.at);
        let about = recent.iter().filter(|(.., places)| vanished.iter().all(|place| !places.contains_key(place)));
        let left = about.map(|(.., places)| fit(places).count()).max().unwrap_or(0);
        // What is replaced is no loss, however much was lost before.
        let is_net = |place: &Place| left < self.truth.listed_beside(&self.after.service, place, self.at);
        let needed = match left {
            _ if !vanished.iter().any(is_net) => return None,
            0 => EMPTY_HOLD,
            left if best >= MASS && left * 2 < best => REMOVAL_HOLD,
            _ => return None,
        };
        let shortest = vanished.iter().map(|place| self.truth.away(&self.after.service, place, self.at)).min()?;
        let text = || {
            format!(
                "{} lost {} that had vanished {:.3} s before, with {left} of {best} left",
                self.name,
                vanished.len(),
                shortest.as_secs_f64()
            )
        };
        (shortest < needed).then(|| Found::at("loss", self.at, text()))
    }

    /// Of a registry that lost most services nothing is believed, however long it says so.
    fn judge_robbed(&self, vanished: &[Place], services: &BTreeSet<&str>) -> Option<Found> {
        let robbed = self.truth.robbed(services, self.at);
        if robbed.len() < 5 || !robbed.contains(&self.after.service.as_str()) {
            return None;
        }
        let registered = self.truth.registered(&self.after.service, self.at)?;
        let lost: Vec<_> = vanished.iter().filter(|place| registered.get(*place) == Some(&Fate::Fit)).collect();
        let text = || format!("{} lost {} to a registry that lost {} services", self.name, lost.len(), robbed.len());
        (!lost.is_empty()).then(|| Found::at("robbed", self.at, text()))
    }
}
