//! Conditions that the entry alone shows, whatever the registry says: names, virtual IP, annotations.
//!
//! Read at the start of a reconciliation, which may come to no guard and to no write.

use tracing::warn;

use super::blocked::{Blocked, paused};
use super::conditions::{Line, Reader};
use super::reconciliation::Reconciliation;
use crate::dns::{DnsEntry, Refusal, lost_vip, names};
use crate::telemetry::Condition;

impl Reconciliation<'_> {
    /// Sets the conditions that the entry alone shows.
    pub(super) fn inspect(&mut self) {
        self.inspect_names();
        self.inspect_annotations();
        if !self.blocked().as_ref().is_some_and(Blocked::is_pause) {
            self.clear(Condition::Paused);
        }
    }

    /// Names that cannot be published, and a virtual IP that was lost. The log has them from the room that keeps the names.
    fn inspect_names(&mut self) {
        let Some(settings) = &self.context.names else { return };
        let entry = DnsEntry::new(self.live, &self.context.resource.api_version);
        let (passing, lasting): (Vec<_>, Vec<_>) =
            names(&entry, settings).refusals.into_iter().partition(Refusal::is_passing);
        self.set(Condition::Name, join(&lasting));
        match passing.as_slice() {
            [] => self.clear(Condition::NamePending),
            // For the status alone: every new entry begins like that.
            passing => self.state.conditions.note(Condition::NamePending, join(passing)),
        }
        let lost = if entry.has_lost_vip() { lost_vip::WORDS } else { "" };
        self.set(Condition::VirtualIp, lost.into());
    }

    /// The annotations that are not for the module.
    fn inspect_annotations(&mut self) {
        let (_, mut problems) = self.context.guard.of_entry(self.live);
        problems.extend(paused(self.live).err());
        if self.state.conditions.is_news(Line::Annotations, &problems) {
            problems.iter().for_each(|problem| warn!("{problem}"));
        }
        let owner = self.owner();
        self.state.conditions.set_annotations(Reader::Host, problems.join("; "), &owner);
    }
}

fn join(refusals: &[Refusal]) -> String {
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
