//! A controller's answers about its modules, as text for the operator.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::converter::Identity;
use crate::rollout::{ModuleEvent, ModuleRecord, ModuleState, Refused, Report};
use crate::text;

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
pub(super) fn status(state: &ModuleState) -> String {
    let mut text = String::new();
    for (title, record) in [("active", &state.active), ("previous", &state.previous)] {
        if let Some(record) = record {
            line(&mut text, title, &describe(record));
        }
    }
    if let Some(canary) = &state.canary {
        line(&mut text, "canary", &describe(&canary.module));
        line(&mut text, "", &format!("on {} of the entries until {}", canary.share, canary.until));
    }
    if let Some(pending) = &state.candidate {
        line(&mut text, "candidate", &describe(&pending.module));
        for objection in &pending.objections {
            line(&mut text, "", &format!("waits: {objection}"));
        }
        report(&mut text, &pending.report);
    }
    for Refused { identity, reason, at } in &state.refused {
        line(&mut text, "refused", &format!("{identity}, {at}: {reason}"));
    }
    text
}

/// One event a line, the oldest first.
pub(super) fn history(events: &[ModuleEvent]) -> String {
    let mut text = String::new();
    for ModuleEvent { at, what, identity, origin, detail } in events {
        let what = serde_json::to_value(what).ok();
        let what = what.as_ref().and_then(|what| what.as_str()).unwrap_or_default();
        line(&mut text, what, &format!("{at} {identity} from {origin}"));
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
    format!("released what {} entries held\n", released.released)
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
