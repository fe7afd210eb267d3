//! The doorbell: it tells that something changed, and with luck which service to ask for.
//!
//! Contents are asked for in the usual way. Where it refuses, is slow, or tells what is not so, services are asked for as
//! without it.

mod bell;
mod console;
mod feed;
mod heard;
mod nacos;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::warn;

pub(super) use self::bell::Bell;
use self::feed::News;
use self::heard::Heard;
use super::{Address, TokenSource};
use crate::registry::ServiceKey;
use crate::registry::subscriptions::Ticket;

/// How long one is left alone that did not tell of changes.
const DISTRUST: Duration = Duration::from_secs(600);

/// Changes that were found without it, after which it is not trusted.
const MISSED: usize = 3;

/// A change that it tells of within this time after it was found was not missed: it may be slower than a poll that happens to come
/// in between.
const GRACE: Duration = Duration::from_secs(4);

/// Changes found without it that are remembered.
const REMEMBERED: usize = 64;

/// The kinds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorbellKind {
    /// Polaris's console.
    Console,
    /// Polaris's imitation of a Nacos server.
    Nacos,
}

/// Where the doorbell is.
#[derive(Debug, Clone)]
pub struct DoorbellConfig {
    /// The kind of it.
    pub kind: DoorbellKind,
    /// The server's HTTP port, which serves the console too, or its gRPC port for Nacos.
    pub address: Address,
    /// A token of a user, where one is wanted.
    pub token: TokenSource,
}

/// The services that are followed.
type Wanted = BTreeSet<Arc<ServiceKey>>;

/// What it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ring {
    /// What is new.
    News(News),
    /// It says nothing more for now.
    Silent,
}

/// The doorbell, as the follower hears it. It ends with the value.
#[derive(Debug)]
pub(super) struct Doorbell {
    rings: Receiver<Ring>,
    wanted: watch::Sender<Wanted>,
    task: AbortHandle,
    /// Whether it can be relied on now.
    works: bool,
    distrusted_until: Option<Instant>,
    /// Changes that were found without it, with when.
    missed: VecDeque<(Arc<ServiceKey>, Instant)>,
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Doorbell {
    /// Begins to listen.
    pub(super) fn start(bell: Bell) -> Self {
        let (sender, rings) = channel(1);
        let (wanted, listed) = watch::channel(Wanted::new());
        let task = tokio::spawn(bell.listen(sender, listed)).abort_handle();
        Self { rings, wanted, task, works: false, distrusted_until: None, missed: VecDeque::new() }
    }

    /// Services are followed from now on, or not any more.
    pub(super) fn follow(&self, changes: &[(Arc<ServiceKey>, Option<Ticket>)]) {
        self.wanted.send_if_modified(|wanted| {
            let mut changed = false;
            for (service, ticket) in changes {
                changed |= match ticket {
                    Some(_) => wanted.insert(Arc::clone(service)),
                    None => wanted.remove(service),
                };
            }
            changed
        });
    }

    /// The next that it says which matters; dropped while it waits, it loses nothing.
    pub(super) async fn next(&mut self) -> Option<Ring> {
        loop {
            let ring = self.rings.recv().await?;
            let trusted = self.distrusted_until.is_none_or(|until| until <= Instant::now());
            match ring {
                Ring::News(mut news) if trusted => {
                    self.missed.retain(|(service, _)| !news.more && !news.services.contains(&**service));
                    // What happened before it worked, it did not tell.
                    news.more |= !std::mem::replace(&mut self.works, true);
                    return Some(Ring::News(news));
                }
                Ring::Silent if std::mem::take(&mut self.works) => return Some(Ring::Silent),
                Ring::News(_) | Ring::Silent => {}
            }
        }
    }

    /// A change was found that it should have told. Returns whether it is no longer relied on.
    pub(super) fn missed(&mut self, service: &Arc<ServiceKey>, now: Instant) -> bool {
        if !self.works {
            return false;
        }
        let late = self.missed.iter().filter(|(_, found)| now.duration_since(*found) > GRACE).count();
        if self.missed.len() < REMEMBERED {
            self.missed.push_back((Arc::clone(service), now));
        }
        if late < MISSED {
            return false;
        }
        warn!(
            "the doorbell did not tell of {MISSED} changes; services are asked for as without it for {DISTRUST:?}. It must \
             be one of the same servers"
        );
        self.missed.clear();
        (self.works, self.distrusted_until) = (false, Some(now + DISTRUST));
        true
    }
}
