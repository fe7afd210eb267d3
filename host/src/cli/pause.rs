//! `pause` and `resume`: every write of all replicas stops, and goes on.

use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::module::live::LiveArgs;
use crate::control::Command;
use crate::rollout::Paused;

const PAUSE: &str = "\
Examples:
  kubectl exec -n polaris2istio deploy/polaris2istio -- polaris2istio pause --reason 'registry is being restored'
  kubectl exec -n polaris2istio deploy/polaris2istio -- polaris2istio resume

The registry is followed meanwhile, so what is written after the end is up to date. A pause outlives a restart.";

/// Arguments of `pause`.
#[derive(Debug, Args)]
#[command(after_help = PAUSE)]
pub(super) struct PauseArgs {
    /// Why, for those who find it paused
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    live: LiveArgs,
}

/// The controller's answer.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    paused: Option<Paused>,
}

pub(super) fn pause(args: PauseArgs) -> anyhow::Result<ExitCode> {
    args.live.show(&Command::Pause(args.reason), text)
}

pub(super) fn resume(args: &LiveArgs) -> anyhow::Result<ExitCode> {
    args.show(&Command::Resume, text)
}

fn text(answer: &Answer) -> String {
    match &answer.paused {
        Some(paused) => format!("{paused}\n"),
        None => "writes go on\n".into(),
    }
}
