//! Inputs on which a module fails while it is held to the one before. They count against that module alone, by name: a
//! canary's troubles are no trouble of the active module, and a late one none of the next.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use polaris2istio_core::model::{Entry, Service};
use tokio::sync::Notify;

use crate::converter::Identity;
use crate::hash::hash;

/// The strikes of all modules on trial.
pub(super) struct Strikes {
    /// With more of them a module is out.
    most: u32,
    counted: Mutex<Counted>,
    rings: Notify,
}

#[derive(Default)]
struct Counted {
    inputs: HashMap<Arc<Identity>, HashSet<u64>>,
    out: Vec<Arc<Identity>>,
}

impl Strikes {
    pub(super) fn new(most: u32) -> Self {
        Self { most, counted: Mutex::default(), rings: Notify::new() }
    }

    /// Counts an input against a module, once however often it is tried. Returns the number of such inputs.
    pub(super) fn count(&self, module: &Arc<Identity>, entry: &Entry, service: &Service) -> usize {
        let mut counted = self.counted();
        let inputs = counted.inputs.entry(Arc::clone(module)).or_default();
        inputs.insert(hash((&entry.namespace, &entry.name, &service.revision)));
        let strikes = inputs.len();
        if strikes > self.most as usize && !counted.out.contains(module) {
            counted.out.push(Arc::clone(module));
            self.rings.notify_one();
        }
        strikes
    }

    /// Forgets those of modules that are not on trial any more.
    pub(super) fn retain(&self, is_on_trial: impl Fn(&Identity) -> bool) {
        let mut counted = self.counted();
        counted.inputs.retain(|module, _| is_on_trial(module));
        counted.out.retain(|module| is_on_trial(module));
    }

    /// Waits for a module that is out.
    pub(super) async fn until_out(&self) -> Arc<Identity> {
        loop {
            if let Some(module) = self.counted().out.pop() {
                return module;
            }
            self.rings.notified().await;
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::binding::empty_service;
    use crate::digest::Digest;
    use crate::istio::ServiceEntry;

    fn strike(strikes: &Strikes, module: &Arc<Identity>, entry: &str) -> usize {
        let mut view = ServiceEntry::default().view().unwrap();
        view.name = entry.into();
        strikes.count(module, &view, &empty_service(None))
    }

    #[test]
    fn each_module_has_its_own() {
        let strikes = Strikes::new(1);
        let [canary, active] =
            ["canary", "active"].map(|name| Arc::new(Identity::new(Digest::of(name.as_bytes()), &[])));
        assert_eq!((strike(&strikes, &canary, "a"), strike(&strikes, &canary, "a")), (1, 1), "one input counts once");
        assert_eq!(strike(&strikes, &active, "b"), 1);
        assert_eq!(strikes.until_out().now_or_never(), None);
        assert_eq!(strike(&strikes, &canary, "b"), 2);
        assert_eq!(strikes.until_out().now_or_never(), Some(Arc::clone(&canary)));
        assert_eq!(strikes.until_out().now_or_never(), None, "the active one is not");
        strike(&strikes, &canary, "c");
        strikes.retain(|module| *module == *active);
        assert_eq!(strikes.until_out().now_or_never(), None, "it is gone, and so is what was said late of it");
        assert_eq!(strike(&strikes, &active, "c"), 2);
    }
}
