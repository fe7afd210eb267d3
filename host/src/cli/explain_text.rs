//! Explanations as text, for the operator. What a registry or a module says must not steer a terminal.

use std::fmt::Write;

use jiff::Timestamp;

use super::history::lines;
use super::status_text::{age, end};
use crate::observe::{Explanation, LiveExplanation};
use crate::text;
use crate::text::counted;

/// Endpoints that are printed; `-o json` has all.
const PUBLISHED: usize = 20;

/// The fates of the instances.
pub(super) fn fates(explanation: &Explanation) -> String {
    let Explanation { entry, service, verdict, instances, notes } = explanation;
    let mut text = format!("{entry} <- {service}: {verdict}\n");
    for fate in instances {
        let protocol = if fate.protocol.is_empty() { "-".into() } else { fate.protocol.escape_debug().to_string() };
        // Writing to a String does not fail.
        let _ = writeln!(text, "\n  {}:{} {protocol} weight {}", fate.host.escape_debug(), fate.port, fate.weight);
        let _ = match (&fate.endpoint, fate.published) {
            (Some(endpoint), Some(false)) => writeln!(text, "    becomes  {endpoint}, which is not published now"),
            (Some(endpoint), _) => writeln!(text, "    becomes  {endpoint}"),
            (None, Some(true)) => writeln!(text, "    left out, but published now"),
            (None, _) => writeln!(text, "    left out"),
        };
        for reason in &fate.reasons {
            let _ = writeln!(text, "    {}: {}", reason.code, reason.text);
        }
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        let _ = writeln!(text, "  {} {}: {}", note.severity, note.code, note.text);
    }
    text
}

/// Why an entry of a running controller is as it is.
pub(super) fn live(live: &LiveExplanation, now: Timestamp) -> String {
    let status = &live.status;
    let mut out = format!("{}: {}\n", status.entry, status.state);
    let mut line = |title: &str, words: &str| {
        let words: String = words.chars().map(text::printable).collect();
        let _ = writeln!(out, "  {title:<10} {words}");
    };
    if !live.leads {
        line("unknown", "holds, problems and last writes: this process stands by, only the leader knows them");
    }
    if let Some(paused) = &live.paused {
        line("PAUSED", &paused.to_string());
    }
    for reason in live.writes_blocked.iter().filter(|reason| *reason != "paused") {
        line("no writes", reason);
    }
    for hold in &status.holds {
        line("held", &format!("{}: {}, {}", end(hold, now), counted(hold.endpoints, "endpoint"), hold.reason));
    }
    for problem in status.problems.iter().filter(|problem| status.holds.is_empty() || problem.condition != "held") {
        line("problem", &format!("{}: {}", problem.condition, problem.text));
    }
    line("registry", &live.registry);
    line("module", &live.module);
    if !live.silence.is_empty() {
        line("", &format!("it says nothing: {}", live.silence));
    }
    if let Some(write) = &status.last_write {
        let change = format!("{} added, {} removed, {} changed", write.added, write.removed, write.changed);
        line("last write", &format!("{} ago: {change}", age(write.at, now)));
    }
    line("published", &counted(status.endpoints, "endpoint"));
    for endpoint in live.published.iter().take(PUBLISHED) {
        line("", endpoint);
    }
    if live.published.len() > PUBLISHED {
        line("", &format!("and {} more; -o json has all", live.published.len() - PUBLISHED));
    }
    if let Some(explanation) = &live.explanation {
        out.push_str("\nWhat the module says now:\n");
        out.push_str(&fates(explanation));
    }
    if !live.history.is_empty() {
        out.push_str("\nThe last changes:\n");
        out.push_str(&lines(&live.history));
    }
    out
}
