//! Follows the catalogue of one namespace of the registry for as long as a policy wants it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::{BoxStream, unfold};
use tokio::time::sleep;
use tracing::{info, warn};

use super::plan::Known;
use crate::backoff::Backoff;
use crate::clock;
use crate::log_once::LogOnce;
use crate::registry::{CatalogueSource, Listing};
use crate::writes::Gate;

/// How often a namespace is asked for. The registry itself sees what is new once a second.
const EVERY: Duration = Duration::from_secs(1);
/// The same by a process that may not write.
const EVERY_IDLE: Duration = Duration::from_secs(5);
/// How often it is asked for in full, whatever its revision.
const FULL_EVERY: Duration = Duration::from_secs(300);
/// The waits after failures.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// So many failures in a row are a trouble, and no hiccup.
const FAILURES: u32 = 3;

/// The state of a namespace, whenever it is news.
pub type News = BoxStream<'static, Known>;

struct Follower {
    source: Arc<dyn CatalogueSource>,
    gate: Arc<Gate>,
    namespace: String,
    known: Known,
    failures: u32,
    backoff: Backoff,
    full: Option<Instant>,
    wait: Duration,
    log: LogOnce,
}

/// Follows a namespace.
pub fn follow(source: Arc<dyn CatalogueSource>, gate: Arc<Gate>, namespace: String) -> News {
    let follower = Follower {
        source,
        gate,
        namespace,
        known: Known::default(),
        failures: 0,
        backoff: Backoff::new(WAITS),
        full: None,
        wait: Duration::ZERO,
        log: LogOnce::default(),
    };
    unfold(follower, |mut follower| async move {
        let known = follower.next().await;
        Some((known, follower))
    })
    .boxed()
}

impl Follower {
    async fn next(&mut self) -> Known {
        loop {
            sleep(self.wait).await;
            let before = self.known.clone();
            self.ask().await;
            if self.known != before {
                return self.known.clone();
            }
        }
    }

    async fn ask(&mut self) {
        let full = self.full.is_none_or(|at| at.elapsed() >= FULL_EVERY);
        let revision = self.known.catalogue.as_ref().filter(|_| !full).map(|catalogue| &*catalogue.revision);
        let problem = match self.source.list(&self.namespace, revision.unwrap_or_default()).await {
            Ok(Listing::Unchanged) if self.known.catalogue.is_some() => None,
            Ok(Listing::Unchanged) => {
                Some("the registry says that nothing changed, but it was not asked before".into())
            }
            Ok(Listing::Listed(catalogue)) if catalogue.is_unknown() => Some(format!(
                "the registry knows no namespace `{}`, or nothing in it; check its spelling, or register a service there",
                self.namespace
            )),
            Ok(Listing::Listed(catalogue)) => {
                self.full = Some(Instant::now());
                if self.known.catalogue.as_deref() != Some(&catalogue) {
                    self.known.catalogue = Some(Arc::new(catalogue));
                }
                None
            }
            Err(error) => Some(error.to_string()),
        };
        match problem {
            Some(problem) => self.fail(problem),
            None => self.succeed(),
        }
    }

    /// Nothing is pruned from the first failure on; it is told when it lasts.
    fn fail(&mut self, problem: String) {
        self.failures += 1;
        self.full = None;
        self.wait = self.backoff.next();
        self.known.doubted = true;
        if self.failures < FAILURES {
            return;
        }
        if self.log.is_news("catalogue", &problem) {
            warn!(namespace = self.namespace, "policies: {problem}; entries stay as they are");
        }
        self.known.trouble = Some(problem);
    }

    fn succeed(&mut self) {
        self.failures = 0;
        self.backoff = Backoff::new(WAITS);
        let idle = self.gate.check(clock::now()).is_err();
        self.wait = if idle { EVERY_IDLE } else { EVERY };
        (self.known.doubted, self.known.trouble) = (false, None);
        if self.log.clear() {
            info!(namespace = self.namespace, "policies: the registry lists the namespace again");
        }
    }
}
