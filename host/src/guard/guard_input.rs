//! What a decision is made of, and what comes out of it.

use std::time::{Duration, Instant};

use super::hold::Hold;
use super::origin::Origins;
use super::settings::Settings;
use crate::istio::ServiceEntry;
use crate::plan::AddressRule;
use crate::registry::Content;

/// What is known when a decision is made.
pub struct GuardInput<'a> {
    /// The entry as it is.
    pub live: &'a ServiceEntry,
    /// `namespace/name` of the service.
    pub service: &'a str,
    /// What the registry says of it.
    pub content: &'a Content,
    /// Which instances the module's endpoints stand for.
    pub origins: Origins,
    /// How many sound answers it has given for the service, this one included.
    pub answers: u64,
    /// What holds for this entry.
    pub settings: Settings,
    /// Addresses that endpoints may have.
    pub addresses: &'a AddressRule,
    /// What a person released since the last decision.
    pub release: Option<Release>,
    /// How often a person has promoted a module so far.
    pub promotions: u64,
    /// Whether what is decided may be written. What a person did while it may not counts once it may.
    pub writable: bool,
    /// Now.
    pub now: Instant,
}

/// What a person lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// What is held because of the fleet's alarm.
    Fleet,
    /// All that is held.
    All,
}

/// What was decided beside what the entry should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The holds in force, one for each kind.
    pub holds: Vec<Hold>,
    /// Places that go because someone took them out of service or released them: they go first.
    pub on_purpose: usize,
    /// Places that were to be held and do not fit the entry as it is now.
    pub misfits: usize,
    /// When to look again, if nothing comes before.
    pub again: Option<Duration>,
}
