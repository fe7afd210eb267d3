//! One reconciliation of one entry: what its stages share, and what each hands to the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use polaris2istio_core::model::{Service, Update};

use super::blocked::{Blocked, paused};
use super::conditions::{Line, Owner};
use super::context::Context;
use super::entry_state::EntryState;
use super::report::PendingReason;
use super::sync_status::SyncStatus;
use crate::clock;
use crate::converter::Identity;
use crate::guard::{Decision, Origins};
use crate::istio::ServiceEntry;
use crate::plan::{Apply, Desired};
use crate::registry::{Content, ServiceKey};
use crate::rollout::RolloutPhase;
use crate::telemetry::{Condition, Observers};
use crate::writes::BlockReason;

/// When an entry whose turn to be changed by another module has not come is reconciled again, at least and at most.
const NEXT_TURN: (f64, f64) = (1.0, 3.0);

/// A reconciliation under way.
pub(super) struct Reconciliation<'a> {
    pub(super) context: &'a Context,
    pub(super) state: &'a mut EntryState,
    pub(super) key: &'a ObjectRef<ServiceEntry>,
    pub(super) live: &'a Arc<ServiceEntry>,
    pub(super) title: &'a str,
    /// The term whose answers it is about.
    pub(super) term: u64,
    /// It is not this entry's turn yet to be changed by another module.
    pub(super) awaits_turn: bool,
    /// It waits for its turn to write.
    pub(super) awaits_write: bool,
}

/// The registry's answer for the entry's service.
pub(super) struct Answer {
    pub(super) service: ServiceKey,
    /// The registry's word on the service.
    pub(super) heard: Content,
    /// The service as a module is given it: an empty one if there is no such service.
    pub(super) content: Arc<Service>,
    /// How many sound answers there were.
    pub(super) answers: u64,
    /// Whether the last question was answered.
    pub(super) is_answered: bool,
    pub(super) received: tokio::time::Instant,
}

/// A module's update for an answer.
pub(super) struct Converted {
    pub(super) answer: Answer,
    pub(super) by: Arc<Identity>,
    pub(super) turn: RolloutPhase,
    pub(super) update: Update,
}

/// The content that the entry should hold by that update, which breaks no rule.
pub(super) struct Checked {
    pub(super) answer: Answer,
    pub(super) by: Arc<Identity>,
    pub(super) turn: RolloutPhase,
    pub(super) origins: Origins,
    pub(super) desired: Desired,
    /// The module's own revision of the content.
    pub(super) content_revision: Option<String>,
}

/// The same with what is held, and whether it may be written.
pub(super) struct Guarded {
    pub(super) checked: Checked,
    pub(super) decision: Decision,
    pub(super) blocked: Option<Blocked>,
    /// Content that the last good module had published comes back, and waits for nothing.
    pub(super) restored: bool,
}

/// The same with the write that it needs.
pub(super) struct Planned {
    pub(super) guarded: Guarded,
    /// `None` if the entry holds what it should.
    pub(super) apply: Option<Apply>,
}

impl<'a> Reconciliation<'a> {
    /// Sets a condition of the entry; an empty text clears it.
    pub(super) fn set(&mut self, condition: Condition, text: String) {
        let owner = self.owner();
        self.state.conditions.set(condition, text, &owner);
    }

    /// Ends a condition of the entry.
    pub(super) fn clear(&mut self, condition: Condition) {
        let owner = self.owner();
        self.state.conditions.clear(condition, &owner);
    }

    pub(super) fn owner(&self) -> Owner<'a> {
        let is_told = !self.context.gate.reasons(clock::now()).contains(&BlockReason::Standby);
        let Observers { events, history, .. } = &self.context.observers;
        Owner { entry: self.live, events, history, term: self.term, is_told }
    }

    /// The reason for which this entry may not be written now.
    pub(super) fn blocked(&self) -> Option<Blocked> {
        if let Err(blocked) = self.context.gate.check(clock::now()) {
            return Some(Blocked::Gate(blocked));
        }
        (paused(self.live) != Ok(false)).then_some(Blocked::Entry)
    }

    /// Ends what is wrong with writes: one was made, or none is needed.
    pub(super) fn clear_write_conditions(&mut self) {
        self.clear(Condition::Write);
        self.clear(Condition::Paused);
        self.state.conditions.end_line(Line::Blocked);
    }

    /// Ends the flapping of endpoints once they rested for long. Returns when to find out.
    pub(super) fn clear_flapping(&mut self) -> Option<Duration> {
        let rest = self.state.writes.damper.flaps(Instant::now());
        if rest.is_none() {
            self.clear(Condition::Fight);
        }
        rest
    }

    /// Notes the reason for which the entry waits. Posted at once: the reconciliation may go on for long.
    pub(super) fn wait_for(&mut self, reason: PendingReason) {
        self.state.report.wait_for(reason);
        self.context.statuses.post(self.key.clone(), self.state.full_report());
    }

    /// Ends at an entry that holds what it should.
    pub(super) fn end_synced(&mut self) -> Action {
        self.clear_write_conditions();
        let full = self.state.publications.full_in(self.title, Instant::now());
        let again = self.clear_flapping().map_or(full, |rest| rest.min(full));
        self.end(SyncStatus::Synced, Action::requeue(again))
    }

    /// Ends at an entry that cannot be served.
    pub(super) fn end_failed(&mut self) -> Action {
        self.end(SyncStatus::Failed, Action::await_change())
    }

    /// Ends with a status. Returns when to reconcile again.
    pub(super) fn end(&mut self, status: SyncStatus, action: Action) -> Action {
        if self.awaits_turn {
            self.state.report.status = None;
            self.state.report.wait_for(PendingReason::Turn);
            return Action::requeue(Duration::from_secs_f64(rand::random_range(NEXT_TURN.0..NEXT_TURN.1)));
        }
        if status != SyncStatus::Failed {
            // What is written later for the same answer is written for another reason.
            self.state.writes.measured = self.state.writes.measured.max(self.state.report.answered);
        }
        self.state.report.status = Some(status);
        self.state.report.pending = None;
        match self.clear_flapping() {
            // An entry that is reconciled again anyway is so within this time.
            Some(rest) if action == Action::await_change() => Action::requeue(rest),
            _ => action,
        }
    }
}
