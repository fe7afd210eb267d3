//! `module test`: golden cases, run in the sandbox.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::watch::watch;
use crate::cases::{Answer, Case, OUTCOME, breach};
use crate::cli::SandboxArgs;
use crate::cli::line_diff::line_diff;
use crate::converter::{LoadedModule, Parameters};
use crate::source::Source;
use crate::text::counted;

const EXAMPLES: &str = "\
Examples:
  polaris2istio module test target/mine.wasm cases/
  polaris2istio module test target/mine.wasm cases/one-of-them
  polaris2istio module test target/mine.wasm cases/ --update && git diff cases/
  polaris2istio module test target/mine.wasm cases/ --module-param env=prod
  polaris2istio module test target/mine.wasm cases/ --watch

A case is a folder:
  entry.yaml        a ServiceEntry
  answer.json       the registry's answer, as POST /v1/Discover gives it
  outcome.json      what the module is to say; --update writes it, read the difference
  parameters.json   the module's parameters, if it needs any; these count before --module-param
  earlier.json      an answer that the entry already holds, if the case is about a change

Whatever outcome.json says, every answer is held to the contract: it breaks none of the host's rules, it is the same when
asked again and in whatever order the instances come, and a module's own content revision is `unchanged` to it.

Exit code 0 if all cases pass, 1 if one fails.";

/// Arguments of `module test`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct TestArgs {
    /// A component file, a directory with one, `embedded` for the default rules, or `oci://registry/repository:tag`
    #[arg(value_name = "MODULE")]
    module: Source,
    /// A folder of cases, or one case
    #[arg(value_name = "CASES")]
    cases: PathBuf,
    /// Write what the module says now as what is expected
    #[arg(long)]
    update: bool,
    /// Run the cases again whenever the module or a case changes, until it is interrupted
    #[arg(long, conflicts_with = "update")]
    watch: bool,
    #[command(flatten, next_help_heading = "Conversion module")]
    sandbox: SandboxArgs,
}

/// The ways in which a case can pass.
enum Passed {
    /// As expected.
    Ok,
    /// The expected outcome was written.
    Written,
}

pub(super) fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    if !args.watch {
        return run(args);
    }
    watch(&args.module, &args.cases, || {
        // A module that is half built is no reason to stop.
        if let Err(error) = run(args) {
            eprintln!("{error:#}");
        }
    })
}

fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let directories = Case::directories(&args.cases)?;
    let module = args.sandbox.load_now(&args.module)?;
    let run = Run { module, parameters: args.sandbox.parameters(), update: args.update };
    let mut out = std::io::stdout().lock();
    let (info, count) = (run.module.info(), directories.len());
    writeln!(out, "running {} on {} ({} {})\n", counted(count, "case"), run.module.origin(), info.name, info.version)?;
    let mut failures = Vec::new();
    for directory in &directories {
        let name = directory.file_name().unwrap_or(directory.as_os_str()).to_string_lossy();
        write!(out, "case {name} ... ")?;
        out.flush()?;
        match run.case(directory) {
            Ok((Passed::Ok, time)) => writeln!(out, "ok ({time:.1?})")?,
            Ok((Passed::Written, time)) => writeln!(out, "written ({time:.1?})")?,
            Err(reason) => {
                writeln!(out, "FAILED")?;
                failures.push((name, reason));
            }
        }
    }
    if !failures.is_empty() {
        writeln!(out, "\nfailures:")?;
    }
    for (name, reason) in &failures {
        writeln!(out, "\n---- {name}\n{}", reason.trim_end())?;
    }
    writeln!(out, "\n{} passed, {} failed", count - failures.len(), failures.len())?;
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Run {
    module: LoadedModule,
    parameters: Parameters,
    update: bool,
}

impl Run {
    /// Runs a case. Returns the time of its call, or the problem in words.
    fn case(&self, directory: &Path) -> Result<(Passed, Duration), String> {
        let case = Case::read(directory, &self.parameters).map_err(|error| error.to_string())?;
        let request = case
            .question(&self.module)
            .map_err(|error| format!("{}: {}", crate::cases::EARLIER, error.with_backtrace()))?;
        let start = Instant::now();
        let answer = Answer::of(&self.module, &request).map_err(|error| error.with_backtrace())?;
        let time = start.elapsed();
        let kept = self.keep(&case, &answer.text())?;
        match &answer {
            // Written or not, an outcome that breaks the contract does not pass.
            Answer::Outcome(outcome) => match breach(&case, &self.module, &request, outcome) {
                Some(breach) => Err(format!("breaks the contract: {breach}")),
                None => Ok((kept, time)),
            },
            Answer::Failure(_) => Ok((kept, time)),
        }
    }

    /// Compares with the expected outcome, or writes it.
    fn keep(&self, case: &Case, found: &str) -> Result<Passed, String> {
        match case.expected().map_err(|error| error.to_string())? {
            Some(expected) if expected == found => Ok(Passed::Ok),
            _ if self.update => case.expect(found).map(|()| Passed::Written).map_err(|error| error.to_string()),
            None => Err(format!("there is no {OUTCOME}; --update writes it:\n{found}")),
            Some(expected) => Err(format!(
                "{OUTCOME} (-) is not what the module says (+); if that is meant: --update\n{}",
                line_diff(&expected, found)
            )),
        }
    }
}
