//! Nobody writes but the leader, nothing is written that was never listed, and nothing is written for nothing.

use std::collections::BTreeMap;

use super::truth::Truth;
use super::{Found, Notes};
use crate::journal::{Note, Shown, Writer};
use crate::replicas::identity;

/// Writes of an entry beyond its reasons: a hold that ends in steps, and a term that begins with one.
const SPARE: usize = 12;

pub(super) fn judge(notes: &Notes, truth: &Truth, elected: bool) -> Vec<Found> {
    let mut found = Vec::new();
    let (mut holder, mut entries) = ("", BTreeMap::<&str, (Shown, Vec<String>)>::new());
    let (mut written, mut reasons, mut everyones) = (BTreeMap::<&str, usize>::new(), BTreeMap::<&str, usize>::new(), 0);
    for (at, note) in notes {
        match note {
            Note::Lease { holder: new } => {
                everyones += usize::from(holder != new);
                holder = new;
            }
            Note::Did(_) => everyones += 1,
            Note::Listed { service, .. } => *reasons.entry(service).or_default() += 1,
            Note::Faulted { name } => *reasons.entry(name).or_default() += 2,
            Note::Idle { name } => *written.entry(name).or_default() += 1,
            Note::Entry { name, by, shown: Some(shown) } => {
                let (before, services) = entries.entry(name).or_default();
                services.push(shown.service.clone());
                if let Writer::Replica(number) = by {
                    *written.entry(name).or_default() += 1;
                    if elected && holder != identity(*number) {
                        let text = format!("{name} was written by replica {number}, and `{holder}` leads");
                        found.push(Found::at("leader", *at, text));
                    }
                    let known = |place| services.iter().any(|service| truth.ever_listed(service, place, *at));
                    if let Some((host, port)) = shown.places.difference(&before.places).find(|place| !known(place)) {
                        let text = format!("{name} was given {host}:{port}, which was never listed");
                        found.push(Found::at("unlisted", *at, text));
                    }
                } else {
                    *reasons.entry(name).or_default() += 1;
                }
                *before = shown.clone();
            }
            Note::Entry { name, by: Writer::Replica(number), shown: None }
                if elected && holder != identity(*number) =>
            {
                let text = format!("{name} was deleted by replica {number}, and `{holder}` leads");
                found.push(Found::at("leader", *at, text));
            }
            _ => {}
        }
    }
    for (name, count) in written {
        let (_, services) = &entries[name];
        let services: std::collections::BTreeSet<_> = services.iter().collect();
        let own = reasons.get(name).copied().unwrap_or_default();
        let of_services: usize = services.iter().filter_map(|service| reasons.get(service.as_str())).sum();
        let allowed = SPARE + own + 2 * of_services + everyones;
        if count > allowed {
            found.push(Found::new("busy", format!("{name} was written {count} times, for {allowed} reasons at most")));
        }
    }
    found
}
