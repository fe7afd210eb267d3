//! The list of entries: a hundred at a time, with a search and a filter that need no JavaScript.

use super::problems::rank;
use super::{Page, link};
use crate::observe::EntryStatus;
use crate::observe::html::Html;
use crate::observe::query;

/// Entries on one page of the list.
const ROWS: usize = 100;
const HEADS: [(&str, &str); 6] = [
    ("entry", "Entry"),
    ("service", "Service"),
    ("state", "State"),
    ("endpoints", "Endpoints"),
    ("listed", "Listed"),
    ("lastWrite", "Last write"),
];
const STATES: [&str; 6] = ["failed", "held", "paused", "pending", "synced", "standby"];

/// Which entries are listed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::observe) struct Wanted {
    /// A part of the entry's or the service's name, in lower case.
    text: String,
    state: String,
    /// From 0.
    page: usize,
}

impl Wanted {
    /// As a query says.
    pub(in crate::observe) fn of(query: &str) -> Self {
        let page: usize = query::value(query, "page").parse().unwrap_or(1);
        Self {
            text: query::value(query, "q").trim().to_lowercase(),
            state: query::value(query, "state"),
            page: page.saturating_sub(1),
        }
    }

    fn takes(&self, entry: &EntryStatus) -> bool {
        let named = |name: &str| name.to_lowercase().contains(&self.text);
        (self.state.is_empty() || entry.state == self.state) && (named(&entry.entry) || named(&entry.service))
    }
}

impl Page<'_> {
    pub(super) fn entries(&self, html: &mut Html) {
        let mut found: Vec<_> = self.status.entries.iter().filter(|entry| self.wanted.takes(entry)).collect();
        found.sort_by_key(|entry| rank(entry));
        html.raw("<section id=\"entries\" aria-labelledby=\"h-entries\">\n<h2 id=\"h-entries\">Entries</h2>\n");
        self.form(html);
        html.raw("<p id=\"count\" role=\"status\">").text(&format!("{} of {}", found.len(), self.status.entries.len()));
        html.raw("</p>\n<div class=\"list\" id=\"list\" tabindex=\"0\" role=\"region\" aria-label=\"All entries\">\n");
        html.raw("<table>\n<thead><tr>");
        for (key, head) in HEADS {
            html.raw("<th scope=\"col\" data-key=\"").raw(key).raw("\">").raw(head).raw("</th>");
        }
        html.raw("</tr></thead>\n<tbody id=\"rows\">\n");
        let first = self.wanted.page.saturating_mul(ROWS);
        found.iter().skip(first).take(ROWS).for_each(|entry| row(html, entry));
        html.raw("</tbody>\n</table>\n</div>\n");
        self.pages(html, found.len());
        html.raw("</section>\n");
    }

    fn form(&self, html: &mut Html) {
        html.raw("<form method=\"get\" role=\"search\" id=\"search\"><label>Search <input type=\"search\" name=\"q\" value=\"");
        html.text(&self.wanted.text)
            .raw("\"></label> <label>State <select name=\"state\"><option value=\"\">all</option>");
        for state in STATES {
            html.raw("<option");
            html.raw(if self.wanted.state == state { " selected" } else { "" });
            html.raw(">").raw(state).raw("</option>");
        }
        html.raw("</select></label> <button>Show</button></form>\n");
    }

    fn pages(&self, html: &mut Html, count: usize) {
        let last = count.div_ceil(ROWS);
        if last < 2 {
            return;
        }
        html.raw("<nav id=\"pages\" aria-label=\"Pages of the list\">");
        let here = self.wanted.page + 1;
        for (page, word) in [(here.saturating_sub(1), "before"), (here + 1, "next")] {
            if page >= 1 && page <= last {
                html.raw("<a href=\"?q=").query(&self.wanted.text).raw("&amp;state=").query(&self.wanted.state);
                html.raw("&amp;page=").text(&page.to_string()).raw("#entries\">").raw(word).raw("</a> ");
            }
        }
        html.text(&format!("page {here} of {last}")).raw("</nav>\n");
    }
}

fn row(html: &mut Html, entry: &EntryStatus) {
    html.raw("<tr><td>");
    link(html, &entry.entry);
    html.raw("</td><td>").text(if entry.service.is_empty() { "-" } else { &entry.service });
    html.raw("</td><td><span class=\"state ").text(&entry.state).raw("\">").text(&entry.state).raw("</span></td>");
    let listed = entry.instances.listed.map_or("-".into(), |listed| listed.to_string());
    for count in [entry.endpoints.to_string(), listed] {
        html.raw("<td class=\"number\">").text(&count).raw("</td>");
    }
    html.raw("<td>");
    match &entry.last_write {
        None => html.raw("-"),
        Some(write) => {
            html.raw("<time data-ago datetime=\"").text(&write.at.to_string()).raw("\">");
            html.text(&write.at.strftime("%F %T UTC").to_string()).raw("</time>")
        }
    };
    html.raw("</td></tr>\n");
}
