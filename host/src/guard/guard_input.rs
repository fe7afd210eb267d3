//! The input of the guard's decision, and its result.

use std::time::{Duration, Instant};

use super::hold::Hold;
use super::origin::Origins;
use super::past::PastHold;
use super::settings::Settings;
use crate::istio::ServiceEntry;
use crate::plan::AddressRule;
use crate::registry::Content;

/// The input of a decision.
pub struct GuardInput<'a> {
    /// The entry as it is.
    pub live: &'a ServiceEntry,
    /// `namespace/name` of the service.
    pub service: &'a str,
    /// The registry's word on it.
    pub content: &'a Content,
    /// The instances that the module's endpoints stand for.
    pub origins: Origins,
    /// The number of sound answers of the registry for the service, this one included.
    pub answers: u64,
    /// Whether the last question was answered. What the registry said before it fell silent lets nothing go.
    pub is_answered: bool,
    /// The settings for this entry.
    pub settings: Settings,
    /// The parameter `exclude-metadata` of the module: instances with such metadata are out of service on purpose.
    pub excluded: &'a [(String, String)],
    /// Addresses that endpoints may have.
    pub addresses: &'a AddressRule,
    /// The operator's release since the last decision, if any.
    pub release: Option<Release>,
    /// The number of the last promotion, if it was of the module that gave the answer; else zero.
    pub promotion: u64,
    /// The module that gave the answer, as a hash of its identity.
    pub module: u64,
    /// The module was just taken back: what it drops of what is listed as fit is known to be good.
    pub restored: bool,
    /// Whether the decision may be written. An operator's doing while it may not counts once it may.
    pub writable: bool,
    pub now: Instant,
}

/// The extent of an operator's release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// The endpoints held because of the fleet's alarm.
    Fleet,
    All,
}

/// The decision, beside the endpoints that the entry should have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The holds in force, one for each kind.
    pub holds: Vec<Hold>,
    /// The number of endpoint ports that go because an operator took them out of service or released them: they go first.
    pub on_purpose: usize,
    /// The number of endpoint ports that were to be held and do not fit the entry as it is now.
    pub misfits: usize,
    /// The time after which the entry is reconciled again, if nothing comes before.
    pub requeue_after: Option<Duration>,
    /// The holds that the next process is to know of.
    pub(crate) past: Vec<PastHold>,
}
