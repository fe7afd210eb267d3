//! Tells the cluster of each command that a person gave, by an Event on the replicas' Lease: who, and about which module. The log and
//! the history say it too, but neither is where others look after a night.

use std::sync::Arc;

use serde_json::Value;

use super::Command;
use crate::election::LeaderElector;
use crate::rollout::{self, Forwarded, Giver};
use crate::telemetry::Events;

/// Where commands are told of; without a cluster or an election nowhere.
pub struct Announcer {
    events: Events,
    elector: Option<Arc<LeaderElector>>,
}

/// A command in the words of an Event.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    reason: &'static str,
    action: &'static str,
    /// As a person gives it.
    command: String,
}

impl Announcer {
    /// Tells by these Events, on the Lease of this election.
    pub fn new(events: Events, elector: Option<Arc<LeaderElector>>) -> Self {
        Self { events, elector }
    }

    /// Tells of a command that was carried out, or refused; nothing of one that only asks.
    pub(super) async fn tell(&self, command: &Command, by: &Giver, result: &Result<Value, String>) {
        let (Some(elector), Some(told)) = (&self.elector, told(command)) else { return };
        let note = format!("`{}` {by}: {}", told.command, outcome(result));
        self.events.command(elector.lease().await, result.is_ok(), told.reason, told.action, &note);
    }
}

fn told(command: &Command) -> Option<Told> {
    let (reason, action, command) = match command {
        Command::Pause(why) => ("WritesPaused", "Pause", format!("pause {why}")),
        Command::Resume => ("WritesResumed", "Resume", "resume".into()),
        Command::Forwarded(Forwarded::Release(None)) => ("HoldsReleased", "Release", "module release --all".into()),
        Command::Forwarded(Forwarded::Release(Some(entry))) => {
            ("HoldsReleased", "Release", format!("module release {entry}"))
        }
        Command::Forwarded(Forwarded::Module(command)) => match command {
            rollout::Command::Diff => return None,
            rollout::Command::Promote(name) => ("ModulePromoted", "Promote", format!("module promote {name}")),
            rollout::Command::Reject(name) => ("ModuleRejected", "Reject", format!("module reject {name}")),
            rollout::Command::Rollback(name) => ("ModuleRolledBack", "RollBack", format!("module rollback {name}")),
        },
        Command::Forwarded(Forwarded::Ask(_)) => return None,
        Command::Status | Command::ModuleStatus | Command::ModuleHistory | Command::Answer(_) | Command::Capture(_) => {
            return None;
        }
    };
    Some(Told { reason, action, command })
}

/// The modules that it is about by their whole digests, or why it was refused.
fn outcome(result: &Result<Value, String>) -> String {
    let value = match result {
        Ok(value) => value,
        Err(reason) => return format!("refused: {reason}"),
    };
    let modules = ["active", "refused", "rejected"].into_iter().filter_map(|role| {
        let digest = value.get(role)?.get("module")?.as_str()?;
        Some(format!("{role} {digest}"))
    });
    let released = value.get("released").map(|entries| format!("released what {entries} entries held"));
    let parts: Vec<_> = modules.chain(released).collect();
    if parts.is_empty() { "done".into() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_changes_something_is_told_with_its_digest() {
        let name = "3f2a9c11d0aa".parse().unwrap();
        let command = Command::Forwarded(Forwarded::Module(rollout::Command::Rollback(name)));
        let told = told(&command).unwrap();
        assert_eq!((told.reason, &*told.command), ("ModuleRolledBack", "module rollback 3f2a9c11d0aa"));
        let result = Ok(json!({"active": {"module": "sha256:aa"}, "refused": {"module": "sha256:bb"}}));
        assert_eq!(outcome(&result), "active sha256:aa, refused sha256:bb");
        assert_eq!(outcome(&Ok(json!({"released": 3}))), "released what 3 entries held");
        assert_eq!(outcome(&Ok(json!({"paused": null}))), "done");
        assert_eq!(outcome(&Err("no candidate".into())), "refused: no candidate");
    }

    #[test]
    fn questions_are_not_told() {
        let diff = Command::Forwarded(Forwarded::Module(rollout::Command::Diff));
        for command in [Command::Status, Command::ModuleStatus, Command::Answer("a/b".into()), diff] {
            assert_eq!(told(&command), None, "{command:?}");
        }
    }
}
