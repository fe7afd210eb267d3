//! The head of the page: who writes, where answers come from, and how many entries are in which state.

use super::Page;
use crate::observe::html::Html;

impl Page<'_> {
    pub(super) fn summary(&self, html: &mut Html) {
        let status = self.status;
        html.raw("<header id=\"summary\">\n<h1>polaris2istio</h1>\n<p class=\"role\">");
        html.text(&status.version).raw(": ").text(&self.role()).raw("</p>\n");
        if !status.leads {
            html.raw(
                "<p class=\"note\">This replica stands by: holds, problems and last writes only the leader knows. ",
            );
            self.forward(html);
            html.raw("</p>\n");
        }
        html.raw("<dl>\n");
        row(html, "Module", &status.module);
        for server in &status.registry {
            html.raw("<div><dt>Registry</dt><dd class=\"registry\" data-server=\"").text(&server.address).raw("\">");
            html.text(&server.address).raw(", answered <time data-ago datetime=\"");
            html.text(&server.last_answer.to_string()).raw("\">");
            html.text(&server.last_answer.strftime("at %T UTC").to_string()).raw("</time></dd></div>\n");
        }
        let states: Vec<_> = status.entries_by_state.iter().map(|(state, count)| format!("{count} {state}")).collect();
        row(html, "Entries", &if states.is_empty() { "none".into() } else { states.join(", ") });
        html.raw("</dl>\n</header>\n");
    }

    fn role(&self) -> String {
        let status = self.status;
        match (status.leads, status.identity.as_str(), status.leader.as_str()) {
            (true, "", _) => "this process writes".into(),
            (true, identity, _) => format!("{identity} leads and writes"),
            (false, identity, "") => format!("{identity} stands by, nobody is known to lead"),
            (false, identity, leader) => format!("{identity} stands by, {leader} leads"),
        }
    }

    /// The way to the leader's page.
    fn forward(&self, html: &mut Html) {
        let Some((pod, _)) = self.status.leader.rsplit_once('_') else { return };
        html.raw("Its page: <code>kubectl port-forward ");
        if !self.namespace.is_empty() {
            html.raw("-n ").text(self.namespace).raw(" ");
        }
        html.raw("pod/").text(pod).raw(" 8080</code>");
    }
}

fn row(html: &mut Html, title: &'static str, words: &str) {
    html.raw("<div><dt>").raw(title).raw("</dt><dd>").text(words).raw("</dd></div>\n");
}
