//! Rehearses a write while writes are blocked, for all entries or for one: it is shown what would be written, and the sink
//! may be asked whether it would accept it.

use std::time::Instant;

use kube::runtime::controller::Action;
use tracing::info;

use super::blocked::Blocked;
use super::conditions::Line;
use super::reconciliation::Reconciliation;
use super::sync_status::SyncStatus;
use crate::plan::{Apply, Desired};
use crate::telemetry::Condition;
use crate::text::counted;

impl Reconciliation<'_> {
    /// Shows once what is not written. When the gate opens, or the entry changes, it is reconciled again.
    pub(super) async fn rehearse(&mut self, blocked: &Blocked, apply: &Apply, desired: &Desired) -> Action {
        let change = &apply.change;
        if blocked.is_pause() {
            let text = format!(
                "a write waits: {} to come, {} to go, {} to change; {blocked}",
                counted(change.added, "endpoint"),
                change.removed,
                change.changed
            );
            self.set(Condition::Paused, text);
        }
        let news = self.state.conditions.is_news(Line::Blocked, format!("{blocked} {desired:?}"));
        if !news || blocked.is_standby() {
            // A standby's log would repeat the leader's.
            return self.end(blocked.status(), Action::await_change());
        }
        if blocked.is_rehearsal() {
            if let Some(rest) = self.state.writes.refused_for(desired, self.live, Instant::now()) {
                return self.end(SyncStatus::Failed, Action::requeue(rest));
            }
            self.context.turns.pace().await;
            if let Err(error) = self.context.sink.rehearse(apply).await {
                // It is shown when it is found to be accepted.
                self.state.conditions.end_line(Line::Blocked);
                return self.fail_write(error, desired);
            }
        }
        info!(
            added = change.added,
            removed = change.removed,
            changed = change.changed,
            fields = change.fields.join(","),
            "would be written; {blocked}"
        );
        self.end(blocked.status(), Action::await_change())
    }
}
