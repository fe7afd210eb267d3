//! The modules: which one converts, what waits for the operator and why, with the commands to type; and the policies.

use super::Page;
use crate::observe::html::Html;
use crate::rollout::ModuleRecord;
use crate::text::counted;

impl Page<'_> {
    pub(super) fn modules(&self, html: &mut Html) {
        html.raw("<section id=\"modules\" aria-labelledby=\"h-modules\">\n<h2 id=\"h-modules\">Modules</h2>\n<dl>\n");
        let state = self.modules;
        if let Some(record) = &state.active {
            module(html, "Active", record);
        }
        if let Some(record) = state.earlier.first() {
            module(html, "Before", record);
        }
        if let Some(canary) = &state.canary {
            module(html, "Canary", &canary.module);
            html.raw("<div><dt></dt><dd>on ").text(&canary.share.to_string()).raw(" of the entries until ");
            html.text(&canary.until.to_string()).raw("</dd></div>\n");
        }
        if let Some(pending) = &state.candidate {
            module(html, "Waits", &pending.module);
            for objection in &pending.objections {
                html.raw("<div><dt></dt><dd class=\"bad\">").text(objection).raw("</dd></div>\n");
            }
            html.raw("<div><dt></dt><dd>").text(&pending.report.to_string()).raw("</dd></div>\n");
        }
        html.raw("</dl>\n");
        if let Some(pending) = &state.candidate {
            let name = pending.module.identity.handle();
            html.raw("<p>To compare it, let it take over, or drop it: ");
            for verb in ["module diff".to_owned(), format!("module promote {name}"), format!("module reject {name}")] {
                self.command(html, &verb);
                html.raw(" ");
            }
            html.raw("</p>\n");
        }
        for notice in &self.status.module_notices {
            html.raw("<p class=\"bad\">").text(notice).raw("</p>\n");
        }
        html.raw("</section>\n");
        self.policies(html);
    }

    /// The policies that make entries, if there are any.
    fn policies(&self, html: &mut Html) {
        if self.status.policies.is_empty() {
            return;
        }
        html.raw(
            "<section id=\"policies\" aria-labelledby=\"h-policies\">\n<h2 id=\"h-policies\">Policies</h2>\n<dl>\n",
        );
        for one in &self.status.policies {
            let counts = format!(
                "{}, {}, {} refused, {} of services that are gone",
                counted(one.services, "service"),
                counted(one.entries, "entry"),
                one.refused,
                one.gone
            );
            html.raw("<div><dt>").text(&one.policy).raw("</dt><dd>").text(&counts).raw("</dd></div>\n");
        }
        html.raw("</dl>\n</section>\n");
    }
}

fn module(html: &mut Html, role: &'static str, record: &ModuleRecord) {
    html.raw("<div><dt>").raw(role).raw("</dt><dd>");
    let ModuleRecord { identity, name, version, origin, since } = record;
    html.text(&format!("{name} {version}, {identity}, from {origin}, since {since}")).raw("</dd></div>\n");
}
