//! `status`: the state of a running controller, printed once or repeatedly, of all entries or of some.

use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::module::live::SocketArgs;
use super::offline::{Format, print};
use super::selector::Selector;
use super::status_text::{Columns, names, table};
use crate::control::Command;
use crate::observe::{EntryStatus, Status};

/// The time between two requests.
const AGAIN: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  kubectl exec -n polaris2istio deploy/polaris2istio -- polaris2istio status
  polaris2istio status --problems -o wide
  polaris2istio status polaris/reviews
  polaris2istio status --selector team=shop -o name
  polaris2istio status -o json | jq '.entries[] | select(.state != \"synced\")'

`kubectl exec deploy/...` picks any replica. A standby shows its entries as `standby`: holds, problems and last writes
only the leader knows. Its first lines say which pod that is, and the command to ask it.";

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatusArgs {
    /// One entry alone, as NAMESPACE/NAME
    #[arg(value_name = "ENTRY")]
    entry: Option<String>,
    /// Only entries that are not as they should be
    #[arg(long)]
    problems: bool,
    /// Only entries with these labels: `KEY=VALUE`, `KEY!=VALUE`, `KEY` or `!KEY`, several separated by commas
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<Selector>,
    /// Print it again every two seconds, until interrupted
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    socket: SocketArgs,
    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: StatusOutput,
}

/// How a status is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StatusOutput {
    /// For people.
    Text,
    /// With more columns.
    Wide,
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// The names of entries, one a line.
    Name,
}

pub(super) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    loop {
        if args.watch && args.is_for_people() && stdout().is_terminal() {
            // Clears the screen.
            stdout().write_all(b"\x1b[2J\x1b[H")?;
        }
        args.show()?;
        if !args.watch {
            return Ok(ExitCode::SUCCESS);
        }
        stdout().flush()?;
        std::thread::sleep(AGAIN);
    }
}

impl StatusArgs {
    fn is_for_people(&self) -> bool {
        matches!(self.output, StatusOutput::Text | StatusOutput::Wide)
    }

    fn show(&self) -> anyhow::Result<()> {
        let value = self.socket.ask(&Command::Status)?;
        let mut status: Status = serde_json::from_value(value).context("the controller is of another release")?;
        self.pick(&mut status)?;
        let text = match self.output {
            StatusOutput::Yaml => return print(&status, Format::Yaml),
            StatusOutput::Json => return print(&status, Format::Json),
            StatusOutput::Name => names(&status),
            StatusOutput::Text => table(&status, Columns::Usual),
            StatusOutput::Wide => table(&status, Columns::Wide),
        };
        Ok(stdout().lock().write_all(text.as_bytes())?)
    }

    /// Leaves only the entries that were asked for.
    fn pick(&self, status: &mut Status) -> anyhow::Result<()> {
        if let Some(name) = self.entry.as_ref().filter(|name| !status.entries.iter().any(|one| one.entry == **name)) {
            let known: Vec<_> = status.entries.iter().map(|entry| entry.entry.as_str()).collect();
            let meant = similar::get_close_matches(name.as_str(), &known, 1, 0.7);
            let meant = meant.first().map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            anyhow::bail!("entry {name}: not among the {} that are served{meant}", known.len());
        }
        status.entries.retain(|entry| self.takes(entry));
        Ok(())
    }

    fn takes(&self, entry: &EntryStatus) -> bool {
        let is_well = ["synced", "standby"].contains(&entry.state.as_str()) && entry.problems.is_empty();
        self.entry.as_ref().is_none_or(|name| entry.entry == *name)
            && !(self.problems && is_well && entry.holds.is_empty())
            && self.selector.as_ref().is_none_or(|selector| selector.matches(&entry.labels))
    }
}
