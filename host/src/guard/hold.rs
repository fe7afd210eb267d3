//! The reasons for holding endpoints, and the end: as the log, the status and the metrics tell them.

use std::fmt;
use std::time::{Duration, Instant};

use crate::annotation::PROTOCOL;

/// A kind of hold: one row of the guard's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The service lists no instance, but listed some before.
    Empty,
    /// More than half of the instances vanished at once.
    Removal,
    /// Many services lost instances at once.
    Fleet,
    /// The entry names another service, which has no endpoints yet.
    Rebound,
    /// The module drops endpoints of instances that the registry lists as fit.
    Module,
    /// The entry's annotation asks for no instance that the service lists.
    Annotation,
}

/// The reason for a hold, with the figures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The registry answers that there is no such service.
    Missing,
    /// The service lists no instance.
    Empty,
    /// So many of the most within `--loss-window` vanished from the list.
    Removal {
        /// Endpoint ports (an address with a port) that are gone, net.
        gone: usize,
        /// The most that there were.
        of: usize,
        /// Within so long.
        within: Duration,
    },
    /// Many services lost instances at once; the fleet's alarm says how many.
    Fleet,
    /// The entry names another service now, which has no endpoints yet.
    Rebound {
        /// The service that the endpoints come from, as `namespace/name`.
        from: String,
    },
    /// The module gives no endpoint for instances that are listed as fit.
    Module {
        /// Endpoint ports that it drops.
        dropped: usize,
        /// Endpoint ports that are published.
        of: usize,
    },
    /// The annotation `aeraki.net/protocol` asks for a protocol that no listed instance has.
    Annotation {
        /// Its value.
        asked: String,
    },
}

/// Endpoints of one entry that are kept although the module's answer does not have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The kind of hold.
    pub kind: Kind,
    /// The reason, with figures.
    pub reason: Reason,
    /// The time when it began.
    pub since: Instant,
    /// The time when they are released, if the registry still agrees then; `None` if time does not release them.
    pub until: Option<Instant>,
    /// The number of held endpoint ports.
    pub endpoints: usize,
}

impl Kind {
    /// Whether the registry is the cause: its list has lost what is held.
    pub(super) fn is_of_registry(self) -> bool {
        matches!(self, Self::Empty | Self::Removal | Self::Fleet)
    }

    /// The word for it in metrics and the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Removal => "removal",
            Self::Fleet => "fleet",
            Self::Rebound => "rebound",
            Self::Module => "module",
            Self::Annotation => "annotation",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the registry has no such service any more"),
            Self::Empty => f.write_str("the service lists no instance any more"),
            Self::Removal { gone, of, within } => {
                let within = humantime::format_duration(*within);
                write!(f, "{gone} of {of} vanished from the registry within {within}; they go if it still says so then")
            }
            Self::Fleet => f.write_str("many services lost instances at once, so the registry may have lost its data"),
            Self::Annotation { asked } => write!(
                f,
                "the annotation {PROTOCOL} asks for `{asked}`, which no instance has that could serve; correct it, or release them"
            ),
            Self::Rebound { from } => write!(f, "the service named now has no endpoints yet; those of {from} stay"),
            Self::Module { dropped, of } => {
                write!(
                    f,
                    "the module drops {dropped} of {of}, which the registry lists as fit; promote it or release them"
                )
            }
        }
    }
}
