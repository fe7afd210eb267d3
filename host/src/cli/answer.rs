//! `answer`: the registry's last answer for a service, as a running controller heard it.

use std::process::ExitCode;

use clap::Args;

use super::module::live::SocketArgs;
use super::offline::{Format, print};
use crate::control::Command;

const EXAMPLES: &str = "\
Examples:
  kubectl exec -n polaris2istio deploy/polaris2istio -- polaris2istio answer default/reviews > answer.json
  polaris2istio convert --entry entry.yaml --answer answer.json

It is what `convert`, `explain` and `module test` take: fields of the registry that no rule reads are not in it.";

/// Arguments of `answer`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AnswerArgs {
    /// The service, as NAMESPACE/SERVICE of the registry
    #[arg(value_name = "SERVICE")]
    service: String,
    #[command(flatten)]
    socket: SocketArgs,
}

pub(super) fn answer(args: &AnswerArgs) -> anyhow::Result<ExitCode> {
    print(&args.socket.ask(&Command::Answer(args.service.clone()))?, Format::Json)?;
    Ok(ExitCode::SUCCESS)
}
