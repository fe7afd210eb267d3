//! A policy makes an entry for every service, and deletes none but its own, of services that are gone for as long as it says,
//! once nothing is held of them.

use std::collections::BTreeMap;

use super::truth::Truth;
use super::{Found, Notes};
use crate::api_server::{ApiServer, ENTRIES};
use crate::journal::{Note, Shown, Writer};
use crate::operators::{IMPORT, IMPORTS, MADE, PRUNED_AFTER};

/// How much the times of entries, which are of whole seconds, may differ.
const ROUNDED: std::time::Duration = std::time::Duration::from_secs(2);

pub(super) fn judge(notes: &Notes, truth: &Truth) -> Vec<Found> {
    let (mut found, mut entries) = (Vec::new(), BTreeMap::<&str, &Shown>::new());
    for (at, note) in notes {
        let Note::Entry { name, by, shown } = note else { continue };
        let before = match shown {
            Some(shown) => entries.insert(name, shown),
            None => entries.remove(name.as_str()),
        };
        if !matches!(by, Writer::Replica(_)) {
            continue;
        }
        let wrong = match (before, shown) {
            (None, Some(shown)) => {
                (!truth.ever_known(&shown.service, *at)).then(|| format!("{name} was made for no service"))
            }
            (Some(before), None) => deleted(name, before, truth, *at).map(|why| format!("{name} was deleted: {why}")),
            _ => None,
        };
        found.extend(wrong.map(|wrong| Found::at("policy", *at, wrong)));
    }
    found
}

/// Why an entry should not have been deleted.
fn deleted(name: &str, before: &Shown, truth: &Truth, at: std::time::Duration) -> Option<String> {
    if !name.ends_with(MADE) {
        return Some("no policy made it".into());
    }
    if !before.places.is_empty() {
        return Some(format!("it had {} endpoints", before.places.len()));
    }
    let gone = truth.gone(&before.service, at);
    (gone + ROUNDED < PRUNED_AFTER).then(|| format!("{} was gone for {:.0} s", before.service, gone.as_secs_f64()))
}

/// At the end every service has its entry, and the policy says so.
pub(crate) fn at_the_end(api: &ApiServer, services: &[String]) -> Vec<Found> {
    let missing = services.iter().filter(|service| api.get(ENTRIES, &format!("{service}{MADE}")).is_none());
    let mut found: Vec<_> =
        missing.map(|service| Found::new("policy", format!("{service} has no entry at the end"))).collect();
    let policy = api.get(IMPORTS, IMPORT).unwrap_or_default();
    let conditions = policy["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.clone().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    if !ready {
        found.push(Found::new("policy", format!("at the end it says {:?}", conditions.collect::<Vec<_>>())));
    }
    found
}
