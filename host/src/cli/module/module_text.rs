//! A controller's answers about its modules, as text for the operator.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::converter::Identity;
use crate::rollout::{Loading, ModuleEvent, ModuleRecord, ModuleStatus, Refused, Report, SourceTrouble};
use crate::text;
use crate::text::counted;

/// The result of a change of modules.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    active: Option<Identity>,
    refused: Option<Identity>,
    rejected: Option<Identity>,
}

/// A comparison.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Diff {
    active: Identity,
    candidate: Identity,
    report: Report,
}

/// The result of a release.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Released {
    released: usize,
}

/// The modules in use, and those that wait or were refused.
pub(super) fn status(status: &ModuleStatus) -> String {
    let (mut text, ModuleStatus { state, source_trouble }) = (String::new(), status);
    if let Some(record) = &state.active {
        line(&mut text, "active", &describe(record));
    }
    if let Some(SourceTrouble { since, reason }) = source_trouble {
        line(&mut text, "SOURCE", &format!("gives no module that can be used, since {since}: {reason}"));
    }
    if let Some(canary) = &state.canary {
        line(&mut text, "canary", &describe(&canary.module));
        line(&mut text, "", &format!("on {} of the entries until {}", canary.share, canary.until));
        decisions(&mut text, &canary.module.identity);
    }
    if let Some(pending) = &state.candidate {
        line(&mut text, "candidate", &describe(&pending.module));
        for objection in &pending.objections {
            line(&mut text, "", &format!("waits: {objection}"));
        }
        report(&mut text, &pending.report);
        decisions(&mut text, &pending.module.identity);
    }
    for Loading { identity, by, since, ended, .. } in &state.loading {
        line(&mut text, "loading", &format!("{identity}, on {}, since {since}", by.host));
        if *ended > 0 {
            line(&mut text, "", &format!("processes that ended there while they loaded it: {ended}"));
        }
    }
    for record in &state.earlier {
        line(&mut text, "earlier", &describe(record));
        line(&mut text, "", &format!("go back: polaris2istio module rollback {}", record.identity.handle()));
    }
    for Refused { identity, reason, at, .. } in &state.refused {
        line(&mut text, "refused", &format!("{identity}, {at}: {reason}"));
    }
    text
}

/// One event a line, the oldest first.
pub(super) fn history(events: &[ModuleEvent]) -> String {
    let mut text = String::new();
    for ModuleEvent { at, what, identity, origin, detail } in events {
        line(&mut text, what.word(), &format!("{at} {identity} from {origin}"));
        if !detail.is_empty() {
            line(&mut text, "", detail);
        }
    }
    text
}

/// The changes that a candidate would make.
pub(super) fn diff(diff: &Diff) -> String {
    let mut text = String::new();
    line(&mut text, "active", &diff.active.to_string());
    line(&mut text, "candidate", &diff.candidate.to_string());
    report(&mut text, &diff.report);
    decisions(&mut text, &diff.candidate);
    text
}

/// The result of a change of modules.
pub(super) fn outcome(outcome: &Outcome) -> String {
    let mut text = String::new();
    let Outcome { active, refused, rejected } = outcome;
    for (title, identity) in [("active", active), ("refused", refused), ("rejected", rejected)] {
        if let Some(identity) = identity {
            line(&mut text, title, &identity.to_string());
        }
    }
    text
}

/// The result of a release.
pub(super) fn released(released: &Released) -> String {
    format!("released what {} held\n", counted(released.released, "entry"))
}

/// The commands that decide on a module.
fn decisions(text: &mut String, identity: &Identity) {
    let name = identity.handle();
    line(text, "", &format!("take it: polaris2istio module promote {name}"));
    line(text, "", &format!("drop it: polaris2istio module reject {name}"));
}

fn describe(record: &ModuleRecord) -> String {
    let ModuleRecord { identity, name, version, origin, since } = record;
    format!("{name} {version}, {identity}, from {origin}, since {since}")
}

fn report(text: &mut String, report: &Report) {
    line(text, "", &report.to_string());
    for change in &report.largest {
        let fate = change.status.words();
        let counts = format!("{} removed, {} altered, {} added", change.removed, change.altered, change.added);
        line(text, "", &format!("{}: {fate}, {counts}", change.entry));
        for note in &change.notes {
            line(text, "", &format!("  {note}"));
        }
    }
}

/// Adds a line. A module's description of itself must not steer a terminal.
fn line(text: &mut String, title: &str, rest: &str) {
    let rest: String = rest.chars().map(text::printable).collect();
    // Writing to a String does not fail.
    let _ = writeln!(text, "{title:<12} {rest}");
}
