//! `status`: the state of a running controller, printed once or repeatedly.

use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::module::live::LiveArgs;
use super::status_text::table;
use crate::control::Command;

/// The time between two requests.
const AGAIN: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  kubectl exec -n polaris2istio deploy/polaris2istio -- polaris2istio status
  polaris2istio status -o json | jq '.entries[] | select(.state != \"synced\")'

`kubectl exec deploy/...` picks any replica. A standby shows its entries as `standby`: holds, problems and last writes
only the leader knows. Its first lines say which pod that is, and the command to ask it.";

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatusArgs {
    /// Print it again every two seconds, until interrupted
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    live: LiveArgs,
}

pub(super) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    loop {
        if args.watch && args.live.output.data().is_none() && stdout().is_terminal() {
            // Clears the screen.
            stdout().write_all(b"\x1b[2J\x1b[H")?;
        }
        let done = args.live.show(&Command::Status, table)?;
        if !args.watch {
            return Ok(done);
        }
        stdout().flush()?;
        std::thread::sleep(AGAIN);
    }
}
