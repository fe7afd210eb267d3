//! The controller as others see it: those who change modules, and the election of the one that writes.

use std::sync::Arc;

use crate::controller::Handle;
use crate::election::LeaderCallbacks;
use crate::guard::Holds;
use crate::rollout::{Engine, EntrySnapshot, EntrySnapshots};
use crate::writes::{BlockReason, Gate};

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

    fn promoted(&self) {
        self.holds.accept_module();
    }

    fn module_missing(&self, missing: bool) {
        if missing {
            self.gate.block(BlockReason::ModuleMissing)
        } else {
            self.gate.unblock(BlockReason::ModuleMissing)
        }
    }
}

impl LeaderCallbacks for Handle {
    fn lead(&self) {
        Handle::lead(self);
    }

    fn stand_by(&self) {
        Handle::stand_by(self);
    }
}
