//! Which server is asked, and whether any is: fail-over, and the halt when all are down or one limits us.
//!
//! Replicas tick apart by up to a second, so one server is kept as long as it answers. A refused connection speaks for the
//! whole server; a time-out, a 5xx or a dropped connection may be the fault of one service, and counts against the server
//! only when several services meet one with no sound answer in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Address, HttpConfig};
use crate::backoff::Backoff;
use crate::registry::{RegistryError, ServiceKey};

/// How many services, at most, must fail before failures that one service may cause are held against the server.
const STRIKES: usize = 5;

/// How far a server may be behind another one: a tick of a second, and some time for a loaded machine.
const LAG: Duration = Duration::from_secs(2);

/// A server that limits us may ask for a longer wait than ours (`Retry-After`), up to this.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// After this long without a halt, the waits start small again.
const CALM: Duration = Duration::from_secs(60);

/// The servers, and the trust in them.
#[derive(Debug)]
pub(super) struct Servers {
    addresses: Vec<Arc<Address>>,
    current: usize,
    /// Grows whenever trust is withdrawn; answers to requests of an earlier generation prove nothing against the present one.
    generation: u64,
    strikes: BTreeSet<Arc<ServiceKey>>,
    /// When the current server last answered, whatever it said.
    answered: Option<Instant>,
    /// How many servers in a row were found down.
    down: usize,
    /// When another server was turned to.
    turned: Option<Instant>,
    halt: Option<Halt>,
    waits: (Duration, Duration),
    limited_waits: (Duration, Duration),
    backoff: Option<(bool, Backoff)>,
    calm_since: Option<Instant>,
    /// The kind of the last halt: the same again, soon after, is not worth a line.
    logged: Option<&'static str>,
}

/// Nothing is asked but for one probe at a time.
#[derive(Debug)]
struct Halt {
    since: Instant,
    until: Instant,
    error: Arc<RegistryError>,
}

/// The consequence of a failure for the service that met it.
#[derive(Debug)]
pub(super) enum Consequence {
    /// The trouble is the service's own.
    Alone(RegistryError),
    /// Another server is asked now: try again.
    Again,
    /// No server answers, or the server limits us: all wait.
    Halted(Arc<RegistryError>),
}

impl Servers {
    pub(super) fn new(config: &HttpConfig) -> Self {
        Self {
            addresses: config.addresses.as_slice().iter().cloned().map(Arc::new).collect(),
            current: 0,
            generation: 0,
            strikes: BTreeSet::new(),
            answered: None,
            down: 0,
            turned: None,
            halt: None,
            waits: config.backoff,
            limited_waits: config.limited_backoff,
            backoff: None,
            calm_since: None,
            logged: None,
        }
    }

    /// The server to ask, with its generation.
    pub(super) fn current(&self) -> Option<(Arc<Address>, u64)> {
        Some((Arc::clone(self.addresses.get(self.current)?), self.generation))
    }

    /// Whether the server may not know yet what the one before it has told.
    pub(super) fn may_lag(&self, now: Instant) -> bool {
        self.turned.is_some_and(|turned| now.duration_since(turned) < LAG)
    }

    /// How long nothing may be asked, while halted.
    pub(super) fn halted_until(&self) -> Option<Instant> {
        self.halt.as_ref().map(|halt| halt.until)
    }

    /// Why nothing is asked, while halted.
    pub(super) fn halted_for(&self) -> Option<&Arc<RegistryError>> {
        self.halt.as_ref().map(|halt| &halt.error)
    }

    /// The server of that generation answered, whatever it said.
    pub(super) fn answered(&mut self, generation: u64, now: Instant) {
        if generation != self.generation {
            return;
        }
        self.strikes.clear();
        self.answered = Some(now);
        self.down = 0;
        if let Some(halt) = self.halt.take() {
            self.calm_since = Some(now);
            let address = self.addresses.get(self.current).map(ToString::to_string).unwrap_or_default();
            info!(address, after = ?now.duration_since(halt.since), "the registry answers again");
        }
    }

    /// A request failed that was made at `asked`; `wanted` is the number of services that are followed.
    pub(super) fn failed(
        &mut self,
        generation: u64,
        service: &Arc<ServiceKey>,
        error: RegistryError,
        wanted: usize,
        asked: Instant,
        now: Instant,
    ) -> Consequence {
        let whole = match error {
            // Others were answered while this one waited: it says nothing of the server.
            RegistryError::TimedOut { .. } if self.halt.is_none() && self.answered.is_some_and(|at| at > asked) => {
                return Consequence::Alone(error);
            }
            RegistryError::Unreachable { .. } | RegistryError::Unresolved { .. } | RegistryError::Tls { .. } => true,
            RegistryError::TimedOut { .. } | RegistryError::Server { .. } | RegistryError::Dropped { .. } => false,
            RegistryError::Limited { .. } if generation != self.generation => {
                return Consequence::Again;
            }
            RegistryError::Limited { .. } => return self.halt(error, true, now),
            _ => {
                self.answered(generation, now);
                return Consequence::Alone(error);
            }
        };
        if generation != self.generation {
            return Consequence::Again;
        }
        self.strikes.insert(Arc::clone(service));
        let enough = whole || self.halt.is_some() || self.strikes.len() >= needed(wanted);
        if !enough {
            return Consequence::Alone(error);
        }
        self.leave(error, now)
    }

    /// Gives the current server up, for the next one if there is one that has not just failed.
    fn leave(&mut self, error: RegistryError, now: Instant) -> Consequence {
        self.down += 1;
        self.current = (self.current + 1) % self.addresses.len().max(1);
        self.turned = (self.addresses.len() > 1).then_some(now);
        if self.down < self.addresses.len() {
            self.withdraw_trust();
            if self.halt.is_none() {
                let next = self.addresses.get(self.current).map(ToString::to_string).unwrap_or_default();
                warn!(kind = error.kind(), "{error}; asking {next} instead");
            }
            return Consequence::Again;
        }
        self.down = 0;
        self.halt(error, false, now)
    }

    fn halt(&mut self, error: RegistryError, limited: bool, now: Instant) -> Consequence {
        self.withdraw_trust();
        let calm = self.halt.is_none() && self.calm_since.is_none_or(|since| now.duration_since(since) >= CALM);
        let mut backoff = match self.backoff.take() {
            Some((of_limit, backoff)) if of_limit == limited && !calm => backoff,
            _ => Backoff::new(if limited { self.limited_waits } else { self.waits }),
        };
        let asked = match &error {
            RegistryError::Limited { wait: Some(wait), .. } => (*wait).min(LONGEST_ASKED),
            _ => Duration::ZERO,
        };
        let until = now + backoff.next().max(asked);
        self.backoff = Some((limited, backoff));
        let error = Arc::new(error);
        let kind = error.kind();
        if self.logged != Some(kind) || calm {
            warn!(kind, "{error}. Nothing is asked of the registry but one probe at a time until it answers");
        } else {
            debug!(kind, "{error}");
        }
        self.logged = Some(kind);
        let since = self.halt.as_ref().map_or(now, |halt| halt.since);
        self.halt = Some(Halt { since, until, error: Arc::clone(&error) });
        Consequence::Halted(error)
    }

    fn withdraw_trust(&mut self) {
        self.generation += 1;
        self.answered = None;
        self.strikes.clear();
    }
}

/// How many of so many services must fail in a row: half, but two if there are two, and never more than a handful.
fn needed(wanted: usize) -> usize {
    (wanted / 2).clamp(2, STRIKES).min(wanted.max(1))
}
