//! Some minutes after the world is sound nothing is held, no alarm is left, and nothing is remembered of what is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::truth::{Truth, fit};
use super::{Found, Notes};
use crate::journal::{Note, Shown};

pub(super) fn judge(notes: &Notes, truth: &Truth) -> Vec<Found> {
    let mut found = Vec::new();
    let released = notes.iter().rposition(|(_, note)| matches!(note, Note::Released)).unwrap_or(notes.len());
    found.extend(before_release(&notes[..released], truth));
    found.extend(at_the_end(notes));
    found
}

/// The state of all entries after these notes.
fn entries(notes: &Notes) -> BTreeMap<&str, &Shown> {
    let mut entries = BTreeMap::new();
    for (_, note) in notes {
        match note {
            Note::Entry { name, shown: Some(shown), .. } => drop(entries.insert(name.as_str(), shown)),
            Note::Entry { name, shown: None, .. } => drop(entries.remove(name.as_str())),
            _ => {}
        }
    }
    entries
}

/// Before a person lets go of anything: what lists as many as it ever had holds nothing.
fn before_release(notes: &Notes, truth: &Truth) -> Vec<Found> {
    let at = notes.last().map(|(at, _)| *at).unwrap_or_default();
    let (mut found, mut short) = (Vec::new(), false);
    for (name, shown) in entries(notes) {
        let listed: BTreeSet<_> = truth.listed(&shown.service, at).into_iter().flat_map(fit).cloned().collect();
        if listed.len() < truth.most(&shown.service) {
            short = true;
            continue;
        }
        let dead: Vec<_> = shown.places.difference(&listed).collect();
        if shown.labelled && !dead.is_empty() {
            let text = format!("{name} keeps {} that are not listed, though as many are listed as ever", dead.len());
            found.push(Found::at("kept", at, text));
        }
    }
    if let Some(holding) = last_status(notes).and_then(|(alarm, _)| alarm).filter(|_| !short) {
        let text = format!("the alarm is on ({holding} hold), though all services list as many as ever");
        found.push(Found::at("alarm", at, text));
    }
    found
}

/// The leader's last status: the alarm, and what is wrong.
fn last_status(notes: &Notes) -> Option<(Option<usize>, Vec<String>)> {
    let last = notes.iter().rev().find_map(|(_, note)| match note {
        Note::Status { leads: true, alarm, entries, .. } => Some((*alarm, entries)),
        _ => None,
    });
    last.map(|(alarm, entries)| {
        let wrong = entries.iter().filter(|told| told.state != "synced" || !told.problems.is_empty());
        (
            alarm,
            wrong.map(|told| format!("{}: {} {:?} {:?}", told.entry, told.state, told.holds, told.problems)).collect(),
        )
    })
}

fn at_the_end(notes: &Notes) -> Vec<Found> {
    let Some((alarm, wrong)) = last_status(notes) else {
        return vec![Found::new("status", "nobody leads at the end".into())];
    };
    let mut found: Vec<_> = wrong.into_iter().map(|text| Found::new("status", format!("at the end {text}"))).collect();
    if alarm.is_some() {
        found.push(Found::new("alarm", "it is still on at the end".into()));
    }
    let last = notes.iter().rev().find_map(|(at, note)| match note {
        Note::Status { leads: true, entries, .. } => {
            Some((*at, entries.iter().map(|told| told.entry.as_str()).collect::<BTreeSet<_>>()))
        }
        _ => None,
    });
    let there: BTreeSet<_> =
        entries(notes).into_iter().filter(|(_, shown)| shown.labelled).map(|(name, _)| name).collect();
    let (_, known) = last.unwrap_or((Duration::ZERO, BTreeSet::new()));
    if known != there {
        found.push(Found::new("status", format!("it knows {known:?}, and there are {there:?}")));
    }
    found
}
