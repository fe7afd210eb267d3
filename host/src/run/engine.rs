//! The controller as others see it: those who change modules, and the election of the one that writes.

use std::sync::Arc;

use crate::controller::Handle;
use crate::converter::swap::{Engine, Subject, Subjects};
use crate::election::Duties;
use crate::gate::{Gate, Shut};
use crate::guard::Holds;

/// What a change of modules sees of the controller.
pub(super) struct EngineHandle {
    pub(super) controller: Handle,
    pub(super) gate: Arc<Gate>,
    pub(super) holds: Arc<Holds>,
}

impl Engine for EngineHandle {
    fn subjects(&self) -> Subjects {
        let snapshot = self.controller.snapshot();
        let known = snapshot.entries.into_iter().map(|(live, service)| Subject { live, service }).collect();
        Subjects { known, unknown: snapshot.unknown, addresses: self.controller.addresses().clone() }
    }

    fn look_again(&self) {
        self.controller.look_again();
    }

    fn promoted(&self) {
        self.holds.accept_module();
    }

    fn module_missing(&self, missing: bool) {
        if missing { self.gate.shut(Shut::ModuleMissing) } else { self.gate.lift(Shut::ModuleMissing) }
    }
}

impl Duties for Handle {
    fn lead(&self) {
        Handle::lead(self);
    }

    fn stand_by(&self) {
        Handle::stand_by(self);
    }
}
