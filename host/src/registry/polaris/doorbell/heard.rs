//! The talk about a doorbell: that it works, once, and why it does not, once for each reason.

use std::time::Duration;

use tracing::{info, warn};

use super::DoorbellKind;
use crate::backoff::Backoff;

/// The waits while it cannot be heard.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

#[derive(Debug)]
pub(super) struct Heard {
    kind: DoorbellKind,
    address: String,
    said: Option<String>,
    backoff: Backoff,
}

impl Heard {
    pub(super) fn new(kind: DoorbellKind, address: String) -> Self {
        Self { kind, address, said: None, backoff: Backoff::new(WAITS) }
    }

    /// It works from now on.
    pub(super) fn works(&mut self, words: &str) {
        info!(address = self.address, "{words}");
        (self.said, self.backoff) = (None, Backoff::new(WAITS));
    }

    /// It does not work. Returns how long to leave it alone.
    pub(super) fn fails(&mut self, problem: String) -> Duration {
        if self.said.as_ref() != Some(&problem) {
            let needs = match self.kind {
                DoorbellKind::Console => {
                    "the console's API of the server's HTTP port, and a token of a user where the console wants one \
                     (--doorbell-token-file)"
                }
                DoorbellKind::Nacos => {
                    "the server's `service-nacos` to be on, and the port of its gRPC (--doorbell-address), a thousand above that of its HTTP"
                }
            };
            warn!(
                address = self.address,
                "no doorbell: {problem}; services are asked for as without it. It needs {needs}"
            );
        }
        self.said = Some(problem);
        self.backoff.next()
    }
}
