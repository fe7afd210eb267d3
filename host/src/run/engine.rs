//! The controller as others see it: those who change modules, and the election of the one that writes.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::controller::Handle;
use crate::converter::Identity;
use crate::election::LeaderCallbacks;
use crate::guard::Holds;
use crate::rollout::{Engine, EntrySnapshot, EntrySnapshots, SharedState};
use crate::state::Keeper;
use crate::writes::{BlockReason, Gate};

/// How long a new leader waits for the shared state: a part of its lease.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// The controller as a change of modules sees it.
pub(super) struct EngineHandle {
    pub(super) controller: Handle,
    pub(super) gate: Arc<Gate>,
    pub(super) holds: Arc<Holds>,
}

impl Engine for EngineHandle {
    fn entry_snapshots(&self) -> EntrySnapshots {
        let snapshot = self.controller.snapshot();
        let known = snapshot.entries.into_iter().map(|(live, service)| EntrySnapshot { live, service }).collect();
        EntrySnapshots { known, unknown: snapshot.unknown, addresses: self.controller.addresses().clone() }
    }

    fn requeue_all(&self) {
        self.controller.requeue_all();
    }

    fn promoted(&self, module: &Identity) {
        self.holds.accept_module(module);
    }

    fn module_missing(&self, missing: bool) {
        if missing {
            self.gate.block(BlockReason::ModuleMissing)
        } else {
            self.gate.unblock(BlockReason::ModuleMissing)
        }
    }
}

/// The controller as the election sees it.
pub(super) struct Leadable {
    pub(super) controller: Handle,
    pub(super) keeper: Arc<Keeper<SharedState>>,
}

impl LeaderCallbacks for Leadable {
    async fn lead(&self) {
        // The leader before may have written a moment ago.
        match tokio::time::timeout(READ_WITHIN, self.keeper.refresh()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("the shared state counts as it was seen last: {error}"),
            Err(_) => warn!("the shared state counts as it was seen last: no answer within {READ_WITHIN:?}"),
        }
        self.controller.lead(self.keeper.document().borrow().guard.as_ref());
    }

    fn stand_by(&self) {
        self.controller.stand_by();
    }
}
