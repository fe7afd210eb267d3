//! Flags of leader election.

use std::time::Duration;

use clap::{ArgAction, Args};

use crate::election::ElectionConfig;
use crate::run::Target;

/// The lease, if none is named.
const LEASE: &str = "polaris2istio";

/// Which of several replicas writes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Replicas")]
pub struct ElectionArgs {
    /// Write only while this process holds the lease; not with --entries or --once, which write at once, nor --dry-run
    #[arg(long, env = "POLARIS2ISTIO_LEADER_ELECTION", value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    leader_election: bool,
    /// The Lease, as `[NAMESPACE/]NAME`; the namespace is the pod's, outside of one that of the entries
    #[arg(long, env = "POLARIS2ISTIO_LEASE", value_name = "NAME", default_value = LEASE)]
    lease: String,
    /// How long nobody writes, at most, after a leader is gone without a word
    #[arg(long, env = "POLARIS2ISTIO_LEASE_DURATION", value_name = "TIME", default_value = "15s", value_parser = duration)]
    lease_duration: Duration,
}

impl ElectionArgs {
    /// The election; `None` for a run that takes no part, because it is for itself or the only replica.
    pub(super) fn config(&self, target: &Target, entries: &str, for_itself: bool) -> Option<ElectionConfig> {
        if !self.leader_election || for_itself || matches!(target, Target::Directory { .. }) {
            return None;
        }
        let (namespace, name) = match self.lease.split_once('/') {
            Some((namespace, name)) => (namespace.into(), name),
            None => (std::env::var("POD_NAMESPACE").unwrap_or_else(|_| entries.into()), &*self.lease),
        };
        Some(ElectionConfig {
            namespace,
            name: name.into(),
            identity: identity(),
            serves: entries.into(),
            duration: self.lease_duration,
        })
    }
}

/// A name of this process alone: a container that is restarted in its pod gets another one.
fn identity() -> String {
    let host = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_else(|_| LEASE.into());
    format!("{host}_{:08x}", rand::random::<u32>())
}

/// Reads a time that a Lease can hold: whole seconds. In two, a renewal every quarter of a second still leaves room for a
/// slow answer.
fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match (time.subsec_nanos(), time.as_secs()) {
        (0, 2..=3600) => Ok(time),
        _ => Err("whole seconds, from 2s to 1h".into()),
    }
}
