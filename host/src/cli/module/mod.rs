//! `module`: inspects, tests and compares conversion modules, and for a running controller shows and changes those in use.

mod capture;
mod diff;
mod inspect;
pub(super) mod live;
mod module_text;
mod new;
mod registry;
mod side;
mod stub_wasi;
mod test;
mod watch;
mod wit;

use std::process::ExitCode;

use clap::Subcommand;

use crate::rollout;

/// Verbs about conversion modules.
#[derive(Debug, Subcommand)]
pub(super) enum ModuleCommand {
    /// Print what a module is: name, version, world, size, digest; or why it is refused
    Inspect(inspect::InspectArgs),
    /// Run a module on golden cases
    Test(test::TestArgs),
    /// Show what another module would change: offline with two modules, in a running controller without
    Diff(diff::DiffArgs),
    /// Make a case of an entry of a running controller, with the registry's answer
    Capture(capture::CaptureArgs),
    /// Write a project of a module of one's own, which builds with one command
    New(new::NewArgs),
    /// Print the world that modules are of, or write it into a directory
    Wit(wit::WitArgs),
    /// Give a core module a WASI of its own, so that it imports nothing
    StubWasi(stub_wasi::StubArgs),
    /// Put a module into an OCI registry
    Push(registry::PushArgs),
    /// Write a module of an OCI registry to a file
    Pull(registry::PullArgs),
    /// Print which modules a running controller uses, and which wait
    Status(live::LiveArgs),
    /// Let a candidate take over, whatever its report says; or approve what the one in use does
    Promote(live::DecisionArgs),
    /// Drop a candidate, and do not take it up again
    Reject(live::DecisionArgs),
    /// Go back to a module that was in use before
    Rollback(live::DecisionArgs),
    /// Print what happened to modules
    History(live::LiveArgs),
    /// Let go endpoints that a running controller holds, for one entry or all
    Release(live::ReleaseArgs),
}

impl ModuleCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Inspect(args) => inspect::inspect(&args),
            Self::Test(args) => test::test(&args),
            Self::Diff(args) => diff::diff(&args),
            Self::Capture(args) => capture::capture(&args),
            Self::New(args) => new::new(&args),
            Self::Wit(args) => wit::wit(&args),
            Self::StubWasi(args) => stub_wasi::stub_wasi(&args),
            Self::Push(args) => registry::push_module(&args),
            Self::Pull(args) => registry::pull_module(&args),
            Self::Status(args) => live::status(&args),
            Self::Promote(args) => live::decide(args, rollout::Command::Promote),
            Self::Reject(args) => live::decide(args, rollout::Command::Reject),
            Self::Rollback(args) => live::decide(args, rollout::Command::Rollback),
            Self::History(args) => live::history(&args),
            Self::Release(args) => live::release(&args),
        }
    }
}
