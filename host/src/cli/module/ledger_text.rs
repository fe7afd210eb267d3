//! What a controller says of its modules, for people.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::converter::Identity;
use crate::rollout::{ModuleEvent, ModuleRecord, ModuleState, Refused, Report};

/// What a change came to.
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

/// How much was let go.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Released {
    released: usize,
}

/// The modules in use, and those that wait or were refused.
pub(super) fn status(ledger: &ModuleState) -> String {
    let mut text = String::new();
    for (title, named) in [("active", &ledger.active), ("previous", &ledger.previous)] {
        if let Some(named) = named {
            line(&mut text, title, &describe(named));
        }
    }
    if let Some(canary) = &ledger.canary {
        line(&mut text, "canary", &describe(&canary.module));
        line(&mut text, "", &format!("on {} of the entries until {}", canary.share, canary.until));
    }
    if let Some(waiting) = &ledger.candidate {
        line(&mut text, "candidate", &describe(&waiting.module));
        for objection in &waiting.objections {
            line(&mut text, "", &format!("waits: {objection}"));
        }
        report(&mut text, &waiting.report);
    }
    for Refused { identity, reason, at } in &ledger.refused {
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

/// What a candidate would change.
pub(super) fn diff(diff: &Diff) -> String {
    let mut text = String::new();
    line(&mut text, "active", &diff.active.to_string());
    line(&mut text, "candidate", &diff.candidate.to_string());
    report(&mut text, &diff.report);
    text
}

/// What a change came to.
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

/// How much was let go.
pub(super) fn released(released: &Released) -> String {
    format!("released what {} entries held\n", released.released)
}

fn describe(named: &ModuleRecord) -> String {
    let ModuleRecord { identity, name, version, origin, since } = named;
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

/// What a module says of itself must not steer a terminal.
fn line(text: &mut String, title: &str, rest: &str) {
    let rest: String = rest.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    // Writing to a String does not fail.
    let _ = writeln!(text, "{title:<12} {rest}");
}
