//! What a look finds wrong with an entry: noted for the status, and told to its owner when it changes.

use std::time::{Duration, Instant};

use tracing::warn;

use super::reconcile::Reconciliation;
use super::stopped::paused;
use crate::dns::{DnsEntry, Refusal, lost_vip, names};
use crate::telemetry::Condition;
use crate::writes::BlockReason;

impl Reconciliation<'_> {
    /// Notes a problem, or with no words that there is none; its owner is told by an Event when that changes.
    pub(super) fn problem(&mut self, condition: Condition, words: String) {
        if words.is_empty() {
            return self.solved(condition);
        }
        // The one who writes speaks, and says the same once in his term: another one may have spoken between two terms.
        let told = (words.clone(), self.term);
        if self.leads() && self.tracked.told.get(&condition) != Some(&told) {
            self.context.observers.events.problem(self.live, condition, &words);
            self.tracked.told.insert(condition, told);
        }
        self.note(condition, words);
    }

    /// Notes what keeps the entry's names from being published, and whether it lost its virtual IP; both by the entry alone.
    /// The log has it from those who keep the names.
    pub(super) fn names(&mut self) {
        let Some(settings) = &self.context.names else { return };
        let bearer = DnsEntry::new(self.live, &self.context.resource.api_version);
        let (passing, lasting): (Vec<_>, Vec<_>) =
            names(&bearer, settings).refusals.into_iter().partition(Refusal::is_passing);
        self.problem(Condition::Name, join(&lasting));
        // For the status alone: every new entry begins like that.
        match passing.as_slice() {
            [] => drop(self.tracked.report.problems.remove(&Condition::NamePending)),
            passing => self.note(Condition::NamePending, join(passing)),
        }
        let trapped = if bearer.has_lost_vip() { lost_vip::WORDS } else { "" };
        self.problem(Condition::VirtualIp, trapped.into());
    }

    /// Notes a problem that is not the entry's own.
    pub(super) fn note(&mut self, condition: Condition, words: String) {
        self.tracked.report.problems.insert(condition, words);
    }

    /// Notes that there is no such problem, any more.
    pub(super) fn solved(&mut self, condition: Condition) {
        self.tracked.report.problems.remove(&condition);
        if self.leads()
            && let Some((words, _)) = self.tracked.told.remove(&condition)
        {
            self.context.observers.events.solved(self.live, condition, &words);
        }
    }

    /// Reads the annotations that are not for the module. At the start of a look: it may come to no guard and to no write.
    pub(super) fn annotations(&mut self) {
        let (_, mut problems) = self.context.guard.of_entry(self.live);
        problems.extend(paused(self.live).err());
        if self.tracked.says("annotations", &problems) {
            problems.iter().for_each(|problem| warn!(entry = self.title, "{problem}"));
        }
        self.tracked.annotations[0] = problems.join("; ");
        self.tell_annotations();
    }

    /// Takes what the module says of annotations; it has been logged with all that the module says.
    pub(super) fn modules_annotations(&mut self, words: String) {
        self.tracked.annotations[1] = words;
        self.tell_annotations();
    }

    fn tell_annotations(&mut self) {
        let told = self.tracked.annotations.iter().filter(|words| !words.is_empty()).cloned();
        let words = told.collect::<Vec<_>>().join("; ");
        self.problem(Condition::Annotation, words);
    }

    /// No write waits any more, and none is to be tried again: it was made, or is not needed.
    pub(super) fn nothing_waits(&mut self) {
        self.solved(Condition::Write);
        self.solved(Condition::Paused);
        self.tracked.over("stopped");
    }

    /// Notes that the content has not gone back and forth for long. Returns when that is to be looked at again.
    pub(super) fn quiet(&mut self) -> Option<Duration> {
        let rest = self.tracked.damper.flaps(Instant::now());
        if rest.is_none() {
            self.tracked.over("fight");
            self.solved(Condition::Fight);
        }
        rest
    }

    /// Measures the way from an answer to its write: only the first write for an answer that came while the entry was
    /// followed already, not one that puts something back later.
    pub(super) fn propagated(&mut self, answered: tokio::time::Instant) {
        if self.tracked.measured.is_some_and(|measured| measured < answered) {
            self.context.observers.metrics.propagated(answered.elapsed());
            self.tracked.measured = Some(answered);
        }
    }

    fn leads(&self) -> bool {
        !self.context.gate.reasons(Instant::now()).contains(&BlockReason::Standby)
    }
}

fn join(refusals: &[Refusal]) -> String {
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
