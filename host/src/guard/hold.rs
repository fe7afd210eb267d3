//! Why endpoints are held, and until when: what the log, the status and the metrics say of it.

use std::fmt;
use std::time::Instant;

use crate::annotation::PROTOCOL;

/// A row of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The service lists nothing, where it listed some.
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

/// Why endpoints are held, with the figures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The registry answers that there is no such service.
    Missing,
    /// The service lists no instance.
    Empty,
    /// So many of the most within ten minutes vanished from the list.
    Removal {
        /// Places (an address with a port) that are gone, net.
        gone: usize,
        /// The most that there were.
        of: usize,
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
        /// Places that it drops.
        dropped: usize,
        /// Places that are published.
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
    /// The row of the guard.
    pub kind: Kind,
    /// Why, with figures.
    pub reason: Reason,
    /// When it began.
    pub since: Instant,
    /// When they are let go, if the registry still agrees then; none means not by time.
    pub until: Option<Instant>,
    /// How many are held, each an address with a port.
    pub endpoints: usize,
}

impl Kind {
    /// Whether the registry is the cause: its list has lost what is held.
    pub(super) fn is_of_registry(self) -> bool {
        matches!(self, Self::Empty | Self::Removal | Self::Fleet)
    }

    /// One word, as metrics and the status have it.
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
            Self::Removal { gone, of } => {
                write!(
                    f,
                    "{gone} of {of} vanished from the registry within ten minutes; they go if it still says so then"
                )
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
