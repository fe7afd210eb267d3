//! The journal of a simulation: all that came to pass, in order, by which the invariants judge it when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::machine;

/// An address with a port.
pub(crate) type Place = (String, u16);

/// The state of a listed instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Fit,
    /// Isolated, or of weight 0.
    TakenOut,
    Unhealthy,
}

/// Whoever writes an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// A replica, by its number.
    Replica(usize),
    /// Its owner, or another controller.
    Other,
}

/// An entry as it is in the API server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shown {
    pub(crate) uid: String,
    /// The service that it names; empty if none.
    pub(crate) service: String,
    /// The service that its endpoints come from.
    pub(crate) source: String,
    pub(crate) places: BTreeSet<Place>,
    /// What operators said by annotations, but for those above.
    pub(crate) said: BTreeMap<String, String>,
    pub(crate) labelled: bool,
}

/// An entry in a replica's status.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) entry: String,
    pub(crate) state: String,
    pub(crate) holds: Vec<String>,
    pub(crate) problems: Vec<String>,
}

/// Something that came to pass.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// The registry lists this of a service; `None` if it has no such service.
    Listed { service: String, places: Option<BTreeMap<Place, Fate>> },
    /// What the owners of a service have registered, whatever the registry lists.
    Registered { service: String, places: BTreeMap<Place, Fate> },
    /// An entry is so from now on; `None` if it is gone.
    Entry { name: String, by: Writer, shown: Option<Shown> },
    /// A write of a replica that changed nothing.
    Idle { name: String },
    /// The API server answered a write with a fault of its own, having done it or not.
    Faulted { name: String },
    /// A replica holds the lease, nobody if it is empty.
    Lease { holder: String },
    /// A person let held endpoints go, or something that does as much.
    Released,
    /// The schedule did something, in words.
    Did(String),
    /// The status of a replica; with the entries that hold because of the fleet's alarm, if that is on.
    Status { replica: usize, leads: bool, excused: bool, alarm: Option<usize>, entries: Vec<Told> },
    /// An entry is not as it should be by what the registry lists.
    Wrong { name: String, problem: String },
    /// An Event on an entry.
    Event { entry: String, uid: String, action: String, over: bool, text: String },
    /// The world is sound from now on.
    Sound,
}

/// The notes with their times. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<(Duration, Note)>>>);

impl Journal {
    pub(crate) fn note(&self, note: Note) {
        let at = machine::elapsed();
        tracing::info!(target: "world", "{note:?}");
        self.lock().push((at, note));
    }

    pub(crate) fn all(&self) -> Vec<(Duration, Note)> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Duration, Note)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
