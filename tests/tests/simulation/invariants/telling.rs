//! While an entry is wrong for more than a few polls, the status says so; and every problem that is over is told as over.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Found, Notes};
use crate::journal::{Note, Told};
use crate::world::LOOK;

/// How long an entry may be wrong without a word: a watch that died is noticed after a minute, and a few polls more.
const SILENT: Duration = Duration::from_secs(90);

/// How long after a problem is over an Event may say so.
const TOLD: Duration = Duration::from_secs(30);

pub(super) fn judge(notes: &Notes) -> Vec<Found> {
    let mut found = untold(notes);
    found.extend(never_over(notes));
    found
}

fn untold(notes: &Notes) -> Vec<Found> {
    let mut found = Vec::new();
    let mut leader: Option<(Duration, usize, Vec<Told>)> = None;
    // Since when each is wrong without a word, and when that was seen last.
    let mut silent = BTreeMap::<&str, (Duration, Duration)>::new();
    // A module that a person promoted is right whatever it gives.
    let mut promoted = false;
    for (at, note) in notes {
        match note {
            Note::Did(event) if event == "Promote" => {
                promoted = true;
                silent.clear();
            }
            Note::Did(event) if event == "RollBack" => promoted = false,
            // Who stands still says nothing.
            Note::Did(event) if event.starts_with("Freeze") => silent.clear(),
            Note::Sound => promoted = false,
            Note::Wrong { .. } if promoted => {}
            Note::Status { replica, leads: true, excused: false, entries, .. } => {
                leader = Some((*at, *replica, entries.clone()));
            }
            Note::Wrong { name, problem } => {
                let said = leader.as_ref().filter(|(said, ..)| said == at).map(|(_, _, entries)| {
                    entries
                        .iter()
                        .find(|told| told.entry == *name)
                        .is_none_or(|told| told.state == "synced" && told.holds.is_empty() && told.problems.is_empty())
                });
                if said != Some(true) {
                    silent.remove(name.as_str());
                    continue;
                }
                let (since, last) = silent.entry(name).or_insert((*at, *at));
                if *at - *last > LOOK {
                    *since = *at;
                }
                let was = *last - (*since).min(*last);
                *last = *at;
                if *at - *since > SILENT && was <= SILENT {
                    let by = leader.as_ref().map(|(_, replica, _)| *replica).unwrap_or_default();
                    let since = since.as_secs_f64();
                    let text = format!("{name} is wrong since {since:.0} s, and replica {by} says nothing: {problem}");
                    found.push(Found::at("untold", *at, text));
                }
            }
            _ => {}
        }
    }
    found
}

/// Events of a process that lived all the time.
fn never_over(notes: &Notes) -> Vec<Found> {
    let changes = ["Kill", "Stop", "CutOff", "Freeze", "Api", "Crd", "SpoilState"];
    let undisturbed = !notes
        .iter()
        .any(|(_, note)| matches!(note, Note::Did(event) if changes.iter().any(|change| event.starts_with(change))));
    let end = notes.last().map(|(at, _)| *at).unwrap_or_default();
    let mut open = BTreeMap::<(&str, &str), (Duration, &str, &str)>::new();
    let mut uids = BTreeMap::<&str, &str>::new();
    for (at, note) in notes {
        match note {
            Note::Event { entry, uid, action, over, text } => {
                if *over {
                    open.remove(&(uid.as_str(), action.as_str()));
                } else {
                    open.insert((uid, action), (*at, entry, text));
                }
            }
            Note::Entry { name, shown: Some(shown), .. } => drop(uids.insert(name, &shown.uid)),
            Note::Entry { name, shown: None, .. } => drop(uids.remove(name.as_str())),
            _ => {}
        }
    }
    let lasting = open.into_iter().filter(|((uid, _), (at, entry, _))| {
        undisturbed && uids.get(entry) == Some(uid) && end.saturating_sub(*at) > TOLD
    });
    lasting
        .map(|((_, action), (at, entry, text))| {
            Found::at("event", at, format!("{entry} was told of {action}, and never that it is over: {text}"))
        })
        .collect()
}
