//! Asks the module, tells what it says, and checks its answer by the rules that hold for any module.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use polaris2istio_core::model::{Diagnostic, Outcome, Service, Severity, Subject, Update, Verdict};

use super::conditions::{Line, Reader};
use super::diagnostics::{self, summary};
use super::reconciliation::{Answer, Checked, Converted, Reconciliation};
use super::sync_status::SyncStatus;
use crate::binding::{empty_service, tell_missing};
use crate::converter::CallError;
use crate::guard::Origins;
use crate::plan::{self, Desired};
use crate::rollout::{Conversion, LastPublished, RolloutPhase};
use crate::telemetry::Condition;
use crate::text;

/// When a module that gave nothing usable is tried again with the same input: a time-out may be the machine's fault.
const FAILURE_RETRY: Duration = Duration::from_secs(60);
/// When a call is tried again that found no place among those that take long.
const BUSY_RETRY: Duration = Duration::from_millis(500);
/// The longest problem of a conversion that is told, in characters: it repeats words of the module.
const PROBLEM: usize = 1_500;

impl Reconciliation<'_> {
    /// Asks the module for the update that an answer makes.
    pub(super) async fn convert(&mut self, answer: Answer) -> ControlFlow<Action, Converted> {
        let Conversion { mut outcome, by, phase: turn } = self.call(&answer).await?;
        if answer.heard.is_missing() && matches!(outcome.verdict, Verdict::Update(_)) {
            tell_missing(&mut outcome, &answer.service);
        }
        self.awaits_turn = turn == RolloutPhase::Waits;
        self.tell_outcome(&outcome, &answer.content);
        if !matches!(outcome.verdict, Verdict::Update(_)) {
            self.context.holds.fleet().note_seen(self.title, &answer.service.to_string());
        }
        match outcome.verdict {
            Verdict::Rejected => {
                self.clear(Condition::Conversion);
                self.clear_write_conditions();
                Break(self.end_failed())
            }
            Verdict::Unchanged => {
                self.clear(Condition::Conversion);
                self.state.publications.by = Some(by);
                Break(self.end_synced())
            }
            Verdict::Update(update) => Continue(Converted { answer, by, turn, update }),
        }
    }

    async fn call(&mut self, answer: &Answer) -> ControlFlow<Action, Conversion> {
        let view = match self.live.view() {
            Ok(view) => view,
            Err(unsupported) => return Break(self.fail_call(&unsupported.to_string())),
        };
        let last = self.state.publications.last(&answer.service, self.live, Instant::now());
        let admit = |update: &Update| {
            let desired = Desired::of(update.clone(), &answer.content);
            plan::plan(&desired, self.live).is_empty() || self.context.module_changes.check().is_ok()
        };
        let begun = Instant::now();
        let result = self.context.modules.convert(&answer.content, view, last, admit).await;
        if let Err(error @ CallError::Busy) = &result {
            // What is told of it already stays: it is not known to be otherwise yet.
            if !self.state.conditions.current().contains_key(&Condition::Conversion) {
                self.fail_conversion(&error.to_string());
            }
            return Break(self.end(SyncStatus::Failed, Action::requeue(BUSY_RETRY)));
        }
        let verdict = result.as_ref().map(|conversion| &conversion.outcome.verdict).ok();
        self.context.observers.metrics.count_conversion(verdict, begun.elapsed());
        match result {
            Ok(conversion) => Continue(conversion),
            Err(error) => Break(self.fail_call(&error.to_string())),
        }
    }

    fn fail_call(&mut self, problem: &str) -> Action {
        self.fail_conversion(problem);
        self.end(SyncStatus::Failed, Action::requeue(FAILURE_RETRY))
    }

    /// Notes that the module gave nothing that can be used: the last endpoints stay.
    pub(super) fn fail_conversion(&mut self, problem: &str) {
        let module = self.context.modules.active();
        let problem = text::shown(problem, PROBLEM);
        self.set(Condition::Conversion, format!("module {}: {problem}", module.origin()));
    }

    /// Finds what the entry should hold, unless that breaks a rule.
    pub(super) fn check(&mut self, converted: Converted) -> ControlFlow<Action, Checked> {
        let Converted { answer, by, turn, mut update } = converted;
        let content_revision = update.content_revision.take();
        let origins = Origins::of(&update, &answer.content);
        let desired = Desired::new(update, answer.service.to_string(), answer.content.revision.clone());
        if let Err(violation) = plan::check(&desired, self.live, &self.context.addresses) {
            match violation.of_entry {
                // No module can mend it.
                true => self.set(Condition::Conversion, text::shown(&violation.to_string(), PROBLEM)),
                false => self.fail_conversion(&violation.to_string()),
            }
            return Break(self.end_failed());
        }
        Continue(Checked { answer, by, turn, origins, desired, content_revision })
    }

    /// Rejects an entry that names no service: the rules say what is missing, and nothing is ever written.
    pub(super) async fn reject_unbound(&mut self) -> Action {
        let nothing = Arc::new(empty_service(None));
        if let Ok(view) = self.live.view()
            && let Ok(given) = self.context.modules.convert(&nothing, view, LastPublished::default(), |_| true).await
        {
            self.tell_outcome(&given.outcome, &nothing);
        }
        self.end_failed()
    }

    /// Tells what the module says, in the conditions and in the log.
    fn tell_outcome(&mut self, outcome: &Outcome, content: &Service) {
        self.state.report.note_outcome(outcome);
        // An unchanged answer may leave its diagnostics out. Where it has some, they may be news: all instances turned sick, say,
        // and stay.
        if outcome.verdict == Verdict::Unchanged && outcome.diagnostics.is_empty() {
            return self.clear(Condition::Rejected);
        }
        let rejected = outcome.verdict == Verdict::Rejected;
        let errors = summary(outcome, content, |one| rejected && one.severity == Severity::Error);
        self.set(Condition::Rejected, errors);
        let is_annotation = |one: &Diagnostic| !rejected && matches!(one.subject, Subject::Annotation(_));
        let owner = self.owner();
        let annotations = summary(outcome, content, is_annotation);
        self.state.conditions.set_annotations(Reader::Module, annotations, &owner);
        let lines: Vec<_> = outcome.diagnostics.iter().map(|one| diagnostics::line(one, content)).collect();
        if self.state.conditions.is_news(Line::Diagnostics, lines) {
            diagnostics::log(&outcome.diagnostics, content);
        }
    }
}
