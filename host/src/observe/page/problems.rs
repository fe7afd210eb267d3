//! Problems come first: those that concern all, then the entries that are not as they should be, the worst first.

use super::{Page, link};
use crate::observe::html::Html;
use crate::observe::{EntryStatus, Held, Status};

/// Entries with problems that are named here; the list below has them all.
const NAMED: usize = 30;

/// The entries that are not as they should be, the worst first.
pub(super) fn wrong(status: &Status) -> impl Iterator<Item = &EntryStatus> {
    let mut wrong: Vec<_> = status.entries.iter().filter(|entry| is_wrong(entry)).collect();
    wrong.sort_by_key(|entry| rank(entry));
    wrong.into_iter()
}

fn is_wrong(entry: &EntryStatus) -> bool {
    !["synced", "standby", "pending"].contains(&entry.state.as_str())
        || !entry.problems.is_empty()
        || !entry.holds.is_empty()
}

/// The place of an entry by how bad it is.
pub(super) fn rank(entry: &EntryStatus) -> usize {
    let states = ["failed", "held", "paused", "pending"];
    let by_state = states.iter().position(|state| *state == entry.state).unwrap_or(states.len() + 1);
    if by_state > states.len() && !entry.problems.is_empty() { states.len() } else { by_state }
}

impl Page<'_> {
    pub(super) fn problems(&self, html: &mut Html) {
        let status = self.status;
        html.raw(
            "<section id=\"problems\" aria-labelledby=\"h-problems\">\n<h2 id=\"h-problems\">What is wrong</h2>\n",
        );
        let general = self.general();
        let wrong: Vec<_> = wrong(status).collect();
        if general.is_empty() && wrong.is_empty() {
            html.raw("<p class=\"good\">Nothing that this process knows of.</p>\n</section>\n");
            return;
        }
        html.raw("<ul>\n");
        for (words, verb) in general {
            html.raw("<li class=\"bad\">").text(&words);
            if !verb.is_empty() {
                html.raw(" ");
                self.command(html, verb);
            }
            html.raw("</li>\n");
        }
        for entry in wrong.iter().take(NAMED) {
            html.raw("<li>");
            link(html, &entry.entry);
            html.raw(" <span class=\"state ").text(&entry.state).raw("\">").text(&entry.state).raw("</span>");
            details(html, entry);
            html.raw("</li>\n");
        }
        html.raw("</ul>\n");
        if wrong.len() > NAMED {
            html.raw("<p>and ").text(&(wrong.len() - NAMED).to_string()).raw(" more, in the list below.</p>\n");
        }
        html.raw("</section>\n");
    }

    /// Problems that concern all entries, each with the command that ends it.
    fn general(&self) -> Vec<(String, &'static str)> {
        let status = self.status;
        let mut general = Vec::new();
        if let Some(paused) = &status.paused {
            general.push((format!("{paused}. To let them go on:"), "resume"));
        }
        let others = status.writes_blocked.iter().filter(|reason| !["paused", "standby"].contains(&reason.as_str()));
        general.extend(others.map(|reason| (format!("nothing is written: {reason}"), "")));
        if status.fleet_holds > 0 {
            let words = format!(
                "many services lost their endpoints at once; those of {} entries are held, without end. To let them go:",
                status.fleet_holds
            );
            general.push((words, "module release --all"));
        }
        general.extend(status.fleet_notices.iter().map(|notice| (notice.clone(), "")));
        let policies = status.policies.iter().filter(|policy| !policy.ready);
        general.extend(policies.map(|one| (format!("policy {}: {}: {}", one.policy, one.reason, one.message), "")));
        general.extend(status.unready.iter().map(|reason| (format!("not ready: {reason}"), "")));
        general
    }
}

/// The holds and problems of an entry.
pub(super) fn details(html: &mut Html, entry: &EntryStatus) {
    for hold in &entry.holds {
        html.raw("<div class=\"hold\">held ");
        until(html, hold);
        html.raw(": ").text(&hold.endpoints.to_string()).raw(" endpoints, ").text(&hold.reason).raw("</div>");
    }
    for problem in entry.problems.iter().filter(|problem| entry.holds.is_empty() || problem.condition != "held") {
        html.raw("<div><span class=\"tag\">")
            .text(&problem.condition)
            .raw("</span> ")
            .text(&problem.text)
            .raw("</div>");
    }
}

fn until(html: &mut Html, hold: &Held) {
    match hold.until {
        None => html.raw("without end"),
        Some(until) => {
            html.raw("until <time data-until datetime=\"").text(&until.to_string()).raw("\">");
            html.text(&until.strftime("%F %T UTC").to_string()).raw("</time>")
        }
    };
}
