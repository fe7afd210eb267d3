//! What is told of the fleet although nothing more is held for it.

use std::fmt;
use std::time::{Duration, Instant};

/// How long a mass isolation is shown.
const SHOWN: Duration = Duration::from_secs(600);

/// A kind of notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// All of a few services lost half or more at once: too few for the alarm, since one rollout may be all of them.
    AllLost,
    /// Somebody isolated half or more of many services at once.
    Isolated,
}

/// Something about the whole fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    pub kind: NoticeKind,
    pub since: Instant,
    /// Services concerned by then.
    pub services: usize,
    /// Services that were followed then.
    pub followed: usize,
}

impl NoticeKind {
    pub const ALL: [Self; 2] = [Self::AllLost, Self::Isolated];

    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllLost => "all-lost",
            Self::Isolated => "isolated",
        }
    }

    /// What it is about.
    pub fn words(self) -> &'static str {
        match self {
            Self::AllLost => "all services lost half of their endpoints or more",
            Self::Isolated => "many services had half of their instances isolated",
        }
    }
}

impl Notice {
    /// Whether it is still shown.
    pub(super) fn is_shown(&self, now: Instant) -> bool {
        self.kind == NoticeKind::AllLost || now.saturating_duration_since(self.since) < SHOWN
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { services, followed, .. } = self;
        match self.kind {
            NoticeKind::AllLost => write!(
                f,
                "all {services} services lost half of their endpoints or more within a minute, as when a registry was restored \
                 empty; what is held ends by its time: stop it with `pause`"
            ),
            NoticeKind::Isolated => write!(
                f,
                "half or more of the instances of {services} of {followed} services were isolated, or got weight 0, within a \
                 minute; they are gone, as always: undo it in the registry if nobody meant it"
            ),
        }
    }
}
