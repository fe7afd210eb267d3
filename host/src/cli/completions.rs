//! `completions` and `man`: what shells and `man` are given, made of the command line itself.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  source <(polaris2istio completions bash)
  polaris2istio completions fish > ~/.config/fish/completions/polaris2istio.fish";

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    shell: Supported,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// A directory for the pages, one for each verb; made if it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// The shells that are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<ExitCode> {
    let shell = match args.shell {
        Supported::Bash => Shell::Bash,
        Supported::Zsh => Shell::Zsh,
        Supported::Fish => Shell::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "polaris2istio", &mut text);
    stdout().lock().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(args: &ManArgs, command: Command) -> anyhow::Result<ExitCode> {
    let directory = &args.directory;
    let problem = || format!("{}: no man pages; give a directory that can be written", directory.display());
    std::fs::create_dir_all(directory).with_context(problem)?;
    clap_mangen::generate_to(command, directory).with_context(problem)?;
    Ok(ExitCode::SUCCESS)
}
