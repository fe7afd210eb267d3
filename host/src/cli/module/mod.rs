//! `module`: what a conversion module is, whether it gives what it should, and what it would change. No server is asked but,
//! where that is said, the one that a module comes from.

mod comparison;
mod diff;
mod endpoint_change;
mod inspect;
mod line_diff;
mod side;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

pub(super) use endpoint_change::line as endpoint_line;

/// Verbs about conversion modules.
#[derive(Debug, Subcommand)]
pub(super) enum ModuleCommand {
    /// Print what a module is: name, version, world, size, digest; or why it is refused
    Inspect(inspect::InspectArgs),
    /// Run a module on golden cases
    Test(test::TestArgs),
    /// Show what another module would change
    Diff(diff::DiffArgs),
}

impl ModuleCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Inspect(args) => inspect::inspect(&args),
            Self::Test(args) => test::test(&args),
            Self::Diff(args) => diff::diff(&args),
        }
    }
}
