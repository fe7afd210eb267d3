//! One entry: what is published, what the registry lists, and what becomes of each instance, with the reasons.

use super::problems::details;
use super::{Page, changes};
use crate::observe::html::Html;
use crate::observe::{Explanation, Fate, LiveExplanation, Reason};
use crate::text::counted;

/// Instances that are shown; `explain` has all.
const INSTANCES: usize = 500;

impl Page<'_> {
    pub(super) fn entry(&self, html: &mut Html) {
        let Some(asked) = self.entry else { return };
        html.raw("<section id=\"entry\" aria-labelledby=\"h-entry\">\n");
        match asked {
            Ok(live) => self.explanation(html, live),
            Err(problem) => {
                html.raw("<h2 id=\"h-entry\">No such entry</h2>\n<p class=\"bad\">").text(problem).raw("</p>\n");
            }
        }
        html.raw("<p><a href=\"?\">Close</a></p>\n</section>\n");
    }

    fn explanation(&self, html: &mut Html, live: &LiveExplanation) {
        let status = &live.status;
        html.raw("<h2 id=\"h-entry\">").text(&status.entry).raw(" <span class=\"state ").text(&status.state).raw("\">");
        html.text(&status.state).raw("</span></h2>\n");
        details(html, status);
        html.raw("<dl>\n<div><dt>Registry</dt><dd>")
            .text(&live.registry)
            .raw("</dd></div>\n<div><dt>Published</dt><dd>");
        html.text(&counted(status.endpoints, "endpoint")).raw("</dd></div>\n<div><dt>Module</dt><dd>");
        html.text(&live.module).raw("</dd></div>\n</dl>\n");
        if !live.silence.is_empty() {
            html.raw("<p class=\"bad\">The module says nothing: ").text(&live.silence).raw("</p>\n");
        }
        if let Some(explanation) = &live.explanation {
            instances(html, explanation);
        }
        html.raw("<p>The same as text: ");
        self.command(html, &format!("explain {}", status.entry));
        html.raw("</p>\n<h3>Last changes of this entry</h3>\n");
        changes(html, &live.history);
    }
}

fn instances(html: &mut Html, explanation: &Explanation) {
    html.raw("<h3>Instances of ").text(&explanation.service).raw(": ").text(&explanation.verdict).raw("</h3>\n");
    html.raw("<div class=\"list\" tabindex=\"0\" role=\"region\" aria-label=\"Instances\"><table>\n<thead><tr>");
    for head in ["Instance", "Protocol", "Weight", "Becomes", "Published", "Why"] {
        html.raw("<th scope=\"col\">").raw(head).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    explanation.instances.iter().take(INSTANCES).for_each(|fate| row(html, fate));
    html.raw("</tbody>\n</table></div>\n");
    if explanation.instances.len() > INSTANCES {
        html.raw("<p>and ").text(&(explanation.instances.len() - INSTANCES).to_string()).raw(" more.</p>\n");
    }
    if !explanation.notes.is_empty() {
        html.raw("<ul>\n");
        for note in &explanation.notes {
            html.raw("<li>");
            reason(html, note);
            html.raw("</li>\n");
        }
        html.raw("</ul>\n");
    }
}

fn row(html: &mut Html, fate: &Fate) {
    html.raw("<tr><td>").text(&format!("{}:{}", fate.host, fate.port)).raw("</td><td>");
    html.text(if fate.protocol.is_empty() { "-" } else { &fate.protocol }).raw("</td><td class=\"number\">");
    html.text(&fate.weight.to_string()).raw("</td><td>");
    html.text(fate.endpoint.as_deref().unwrap_or("left out")).raw("</td><td>");
    html.raw(if fate.published == Some(true) { "yes" } else { "no" }).raw("</td><td>");
    for one in &fate.reasons {
        html.raw("<div>");
        reason(html, one);
        html.raw("</div>");
    }
    html.raw("</td></tr>\n");
}

fn reason(html: &mut Html, reason: &Reason) {
    html.raw("<span class=\"tag\">").text(&reason.code).raw("</span> ").text(&reason.text);
}
