//! The page to keep open: one HTML page, rendered here so that it works without JavaScript, and kept live by `page.js`, which
//! takes the same page and the stream of changes. It reads, and changes nothing.

mod entries;
mod entry;
mod modules;
mod problems;
mod summary;

pub(super) use self::entries::Wanted;

use super::html::Html;
use super::{LiveExplanation, Status};
use crate::rollout::ModuleState;
use crate::telemetry::HistoryEvent;

pub(super) const CSS: &str = include_str!("page.css");
pub(super) const JS: &str = include_str!("page.js");
pub(super) const ICON: &str = include_str!("icon.svg");

/// Changes that the page shows of all entries.
const CHANGES: usize = 40;

/// All that the page shows.
pub(super) struct Page<'a> {
    pub(super) status: &'a Status,
    pub(super) modules: &'a ModuleState,
    pub(super) history: &'a [HistoryEvent],
    /// The pod's namespace, for commands to type; empty if it is not known.
    pub(super) namespace: &'a str,
    /// Which entries are listed.
    pub(super) wanted: &'a Wanted,
    /// The entry that was asked for, if any.
    pub(super) entry: Option<&'a Result<LiveExplanation, String>>,
}

impl Page<'_> {
    /// The whole page.
    pub(super) fn render(&self) -> String {
        let mut html = Html::default();
        html.raw(concat!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
            "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
        ));
        html.text(&self.title());
        html.raw(concat!(
            "</title>\n<link rel=\"icon\" href=\"icon.svg\">\n<link rel=\"stylesheet\" href=\"page.css\">\n",
            "<script src=\"page.js\" defer></script>\n</head>\n<body>\n<a class=\"skip\" href=\"#entries\">To the entries</a>\n",
        ));
        self.summary(&mut html);
        html.raw("<main>\n");
        self.problems(&mut html);
        self.entry(&mut html);
        self.entries(&mut html);
        self.modules(&mut html);
        html.raw("<section id=\"history\" aria-labelledby=\"h-history\">\n<h2 id=\"h-history\">Last changes</h2>\n");
        changes(&mut html, &self.history[..self.history.len().min(CHANGES)]);
        html.raw("</section>\n</main>\n</body>\n</html>\n");
        html.finish()
    }

    fn title(&self) -> String {
        match problems::wrong(self.status).count() {
            0 => "all is well - polaris2istio".into(),
            count => format!("({count}) polaris2istio"),
        }
    }

    /// A command to type, which is carried out by any replica.
    fn command(&self, html: &mut Html, verb: &str) {
        html.raw("<code>kubectl exec ");
        if !self.namespace.is_empty() {
            html.raw("-n ").text(self.namespace).raw(" ");
        }
        let pod = self.status.identity.rsplit_once('_').map_or("deploy/polaris2istio", |(pod, _)| pod);
        html.text(pod).raw(" -- polaris2istio ").text(verb).raw("</code>");
    }
}

/// A list of changes, the newest first.
fn changes(html: &mut Html, events: &[HistoryEvent]) {
    if events.is_empty() {
        html.raw("<p>Nothing happened since this process began.</p>\n");
        return;
    }
    html.raw("<ol class=\"changes\">\n");
    for event in events {
        html.raw("<li><time datetime=\"").text(&event.at.to_string()).raw("\">");
        html.text(&event.at.strftime("%F %T UTC").to_string()).raw("</time> ");
        let kind = serde_json::to_value(event.kind).ok();
        let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default();
        html.raw("<span class=\"tag\">").text(kind).raw("</span> ");
        if !event.entry.is_empty() {
            link(html, &event.entry);
            html.raw(": ");
        }
        html.text(&event.text);
        if !event.cause.is_empty() {
            html.raw(" <span class=\"why\">").text(&event.cause).raw("</span>");
        }
        html.raw("</li>\n");
    }
    html.raw("</ol>\n");
}

/// A link to one entry.
fn link(html: &mut Html, entry: &str) {
    html.raw("<a href=\"?entry=").query(entry).raw("#entry\">").text(entry).raw("</a>");
}
