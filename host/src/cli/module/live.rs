//! The verbs that a running controller carries out.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::module_text;
use crate::cli::offline::print;
use crate::cli::output::Output;
use crate::control::{AskError, Command, ask};
use crate::rollout::{self, Forwarded, ModuleName};

/// Which controller is asked.
#[derive(Debug, Args)]
pub(in crate::cli) struct SocketArgs {
    /// The socket of the controller
    #[arg(long, env = "POLARIS2ISTIO_SOCKET", value_name = "PATH", default_value = "/run/polaris2istio/socket")]
    socket: PathBuf,
}

impl SocketArgs {
    /// Sends a command, and returns the answer.
    pub(in crate::cli) fn ask(&self, command: &Command) -> Result<Value, AskError> {
        ask(&self.socket, command)
    }
}

/// Which controller is asked, and how its answer is printed.
#[derive(Debug, Args)]
pub(in crate::cli) struct LiveArgs {
    #[command(flatten)]
    socket: SocketArgs,
    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(in crate::cli) output: Output,
}

/// The module that is decided on.
#[derive(Debug, Args)]
pub(in crate::cli) struct DecisionArgs {
    /// The module, as `module status` names it: at least 6 digits of its digest, with parameters `+` and at least 4 of theirs
    #[arg(value_name = "MODULE")]
    module: ModuleName,
    #[command(flatten)]
    live: LiveArgs,
}

/// The holds to release.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReleaseArgs {
    /// One entry, as NAMESPACE/NAME
    #[arg(value_name = "ENTRY", required_unless_present = "all", conflicts_with = "all")]
    entry: Option<String>,
    /// Those of all entries, the fleet's too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    live: LiveArgs,
}

impl LiveArgs {
    /// Sends a command, and prints the answer as data or as text.
    pub(in crate::cli) fn show<T: DeserializeOwned + Serialize>(
        &self,
        command: &Command,
        text: fn(&T) -> String,
    ) -> anyhow::Result<ExitCode> {
        let value = self.socket.ask(command)?;
        match self.output.data() {
            Some(format) => print(&value, format)?,
            None => {
                use std::io::Write;
                std::io::stdout().lock().write_all(text(&serde_json::from_value(value)?).as_bytes())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn status(args: &LiveArgs) -> anyhow::Result<ExitCode> {
    args.show(&Command::ModuleStatus, module_text::status)
}

pub(super) fn history(args: &LiveArgs) -> anyhow::Result<ExitCode> {
    args.show(&Command::ModuleHistory, |events: &Vec<rollout::ModuleEvent>| module_text::history(events))
}

pub(super) fn diff(args: &LiveArgs) -> anyhow::Result<ExitCode> {
    args.show(&Command::Forwarded(Forwarded::Module(rollout::Command::Diff)), module_text::diff)
}

/// Sends a decision about a module.
pub(super) fn decide(args: DecisionArgs, command: fn(ModuleName) -> rollout::Command) -> anyhow::Result<ExitCode> {
    args.live.show(&Command::Forwarded(Forwarded::Module(command(args.module))), module_text::outcome)
}

pub(super) fn release(args: &ReleaseArgs) -> anyhow::Result<ExitCode> {
    args.live.show(&Command::Forwarded(Forwarded::Release(args.entry.clone())), module_text::released)
}
