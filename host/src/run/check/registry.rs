//! Whether the registry answers: it is followed for one service that nobody has, as every service is.

use std::time::{Duration, Instant};

use super::Finding;
use crate::registry::{Registry, ServiceCache, ServiceKey};

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(10);
const SUBJECT: &str = "registry";

pub(super) async fn check<R: Registry>(registry: R) -> Finding {
    let (cache, queue) = ServiceCache::new();
    let stats = registry.stats();
    let _subscription =
        cache.subscribe(&ServiceKey { namespace: "default".into(), name: "polaris2istio-check".into() });
    let asked = Instant::now();
    let report = tokio::select! {
        report = tokio::time::timeout(WITHIN, cache.next_report()) => report,
        () = registry.follow(queue) => return Finding::fail(SUBJECT, "it is not followed for long; the log says why"),
    };
    let took = asked.elapsed().as_millis();
    let servers: Vec<_> = stats.figures().answered.into_keys().collect();
    match report {
        Ok(report) => match (&report.state.last, &report.state.trouble) {
            (None, Some(trouble)) => Finding::fail(SUBJECT, trouble.error.to_string()),
            _ => Finding::ok(SUBJECT, format!("{} answers within {took} ms, and lets us ask", servers.join(", "))),
        },
        Err(_) => Finding::fail(
            SUBJECT,
            format!("no answer within {WITHIN:?}; is --polaris-address right, and does the network let us out to it?"),
        ),
    }
}
