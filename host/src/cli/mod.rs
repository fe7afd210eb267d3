//! The command line: flags in kebab case are the documented form, the original tool's spelling works as well.

mod answer;
mod check;
mod cluster_args;
mod completions;
mod convert;
mod election_args;
mod explain;
mod explain_text;
mod generate;
mod generate_diff;
mod guard_args;
mod history;
mod line_diff;
mod module;
mod module_args;
mod observe_args;
mod offline;
mod output;
mod pause;
mod registry_args;
mod remarks;
mod rollout_args;
mod run_args;
mod sandbox_args;
mod selector;
mod status;
mod status_text;
mod uninstall;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::converter::{COMPILE_VERB, serve_compiler};
use crate::redact;

pub use cluster_args::ClusterArgs;
pub use election_args::ElectionArgs;
pub use guard_args::GuardArgs;
pub use module_args::ModuleArgs;
pub use observe_args::ObserveArgs;
pub use rollout_args::RolloutArgs;
pub use run_args::RunArgs;
pub use sandbox_args::SandboxArgs;

const ABOUT: &str = "Keeps Istio ServiceEntries true to the instances of a Polaris registry";

const EXAMPLES: &str = "\
Examples:
  Follow a Polaris server, write to the cluster of the current kubeconfig context (or the one this pod runs in):
    polaris2istio --polaris-address polaris.example.com:8091

  Two servers for fail-over, another namespace, a token from a file:
    polaris2istio --polaris-address a:8091,b:8091 --namespace mesh --polaris-token-file /etc/polaris/token

  No server at all: answers, entries and results are files:
    polaris2istio --answers answers/ --entries entries/ --output out/

  See beforehand what becomes of an entry, and why:
    polaris2istio convert --entry entry.yaml --answer answer.json
    polaris2istio explain --entry entry.yaml --answer answer.json

  Entries for a whole namespace of the registry, to keep in git:
    polaris2istio generate --polaris-address polaris:8091 --polaris-namespace default --host {service}.polaris

  Rules of one's own: try a module on golden cases, and see what it would change:
    polaris2istio module test mine.wasm cases/
    polaris2istio module diff embedded mine.wasm --cases cases/

Every flag can be set by the environment variable shown beside it. Logs go to stderr.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 endpoints are held (with --once).";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "polaris2istio", version, about = ABOUT, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a ServiceEntry as it would become, offline
    Convert(convert::ConvertArgs),
    /// Print the fate of every instance, with the reasons: of an entry in a running controller, or offline
    Explain(explain::ExplainArgs),
    /// Print the entries that a policy would make, for git or for review
    Generate(generate::GenerateArgs),
    /// Inspect, test and compare conversion modules, offline
    #[command(subcommand)]
    Module(module::ModuleCommand),
    /// Print what a running controller knows of every entry
    Status(status::StatusArgs),
    /// Print what happened last in a running controller, to all entries or to one
    History(history::HistoryArgs),
    /// Print the registry's last answer for a service, as a running controller heard it
    Answer(answer::AnswerArgs),
    /// Stop every write of all replicas
    Pause(pause::PauseArgs),
    /// Let writes go again
    Resume(module::live::LiveArgs),
    /// Look whether all is there that a run with these flags needs: registry, rights, CRD, lease, clock
    Check(Box<check::CheckArgs>),
    /// Take away what is left in a cluster when the controller is gone
    Uninstall(uninstall::UninstallArgs),
    /// Print what this binary is made of
    Version(version::VersionArgs),
    /// Print what a shell needs to complete commands
    Completions(completions::CompletionsArgs),
    /// Write man pages
    Man(completions::ManArgs),
    /// Compile the component on standard input; started by the controller for itself
    #[command(name = COMPILE_VERB, hide = true)]
    CompileModule {
        /// Memory that it may take, in bytes.
        memory: u64,
        /// Processor time that it may take, in seconds.
        seconds: u64,
    },
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Cli {
    /// Reads the process's arguments. Ends the process on `--help` and on wrong usage.
    pub fn read() -> Self {
        let command = redact::help(Self::command());
        let read = command
            .try_get_matches_from(std::env::args_os().map(two_dashes))
            .and_then(|mut matches| Self::from_arg_matches_mut(&mut matches));
        read.unwrap_or_else(|error| redact::usage_error(error).exit())
    }

    /// Carries out the command.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Some(Command::Convert(args)) => convert::convert(&args),
            Some(Command::Explain(args)) => explain::explain(&args),
            Some(Command::Generate(args)) => generate::generate(&args),
            Some(Command::Module(command)) => command.execute(),
            Some(Command::Status(args)) => status::status(&args),
            Some(Command::History(args)) => history::history(&args),
            Some(Command::Answer(args)) => answer::answer(&args),
            Some(Command::Pause(args)) => pause::pause(args),
            Some(Command::Resume(args)) => pause::resume(&args),
            Some(Command::Check(args)) => check::check(&args),
            Some(Command::Uninstall(args)) => uninstall::uninstall(&args),
            Some(Command::Version(args)) => version::version(&args),
            Some(Command::Completions(args)) => completions::completions(&args, redact::help(Self::command())),
            Some(Command::Man(args)) => completions::man(&args, redact::help(Self::command())),
            Some(Command::CompileModule { memory, seconds }) => Ok(serve_compiler(memory, seconds)),
            None => {
                start_logging(self.run.log_format, &self.run.log);
                self.run.execute()
            }
        }
    }
}

/// Go's flags take one dash as well as two, so manifests for the original tool have either.
fn two_dashes(argument: OsString) -> OsString {
    let known = ["-polarisAddress", "-configRootNS", "-kubeconfig", "-mode"];
    match argument.to_str() {
        Some(text) if known.iter().any(|flag| text.split('=').next() == Some(flag)) => format!("-{text}").into(),
        _ => argument,
    }
}

fn start_logging(format: LogFormat, filter: &str) {
    // kube's spans would stand before every line and repeat it; and its failed requests are logged once, by the caller.
    let filter = EnvFilter::try_new(format!("kube_runtime=warn,kube_client=off,{filter}"))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // A line that cannot be written is lost. To report that on standard error, which has just failed, would be a panic.
        .log_internal_errors(false);
    match format {
        LogFormat::Json => builder.json().with_span_list(false).init(),
        LogFormat::Text => builder.with_ansi(is_coloured()).init(),
    }
}

/// Colours are for terminals, and for those who do not ask to have none: <https://no-color.org>.
fn is_coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::io::IsTerminal::is_terminal(&std::io::stderr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_variable_of_its_name() {
        for argument in Cli::command().get_arguments().filter(|argument| !argument.is_hide_set()) {
            let Some(long) = argument.get_long().filter(|long| !["help", "version"].contains(long)) else { continue };
            let variable = format!("POLARIS2ISTIO_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable.as_str()), "--{long}");
        }
    }

    #[test]
    fn takes_the_originals_flags() {
        for arguments in [
            "--polarisAddress a:8091 --configRootNS mesh --kubeconfig k --mode 1",
            "-polarisAddress a:8091 -configRootNS mesh -kubeconfig k -mode 0",
            "-polarisAddress=a:8091 -configRootNS=mesh -kubeconfig=k -mode=1",
            "--polarisAddress=a:8091 --configRootNS=mesh --kubeconfig=k --mode=7",
        ] {
            let arguments = std::iter::once("polaris2istio").chain(arguments.split(' '));
            let cli = Cli::parse_from(arguments.map(|argument| two_dashes(argument.into())));
            assert_eq!(cli.run.namespace, "mesh");
            assert_eq!(cli.run.cluster.cluster().kubeconfig, Some("k".into()));
        }
    }
}
