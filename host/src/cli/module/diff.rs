//! `module diff`: the changes that another module would make, offline over golden cases or over the entries of a running
//! controller.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::live::{self, LiveArgs};
use super::side::Side;
use crate::cases::Case;
use crate::cli::SandboxArgs;
use crate::cli::offline::print;
use crate::rollout::{Comparison, Status, line};
use crate::source::Source;
use crate::text;

/// The longest words of a module on one line, in characters.
const WORDS: usize = 2_000;

const EXAMPLES: &str = "\
Examples:
  polaris2istio module diff embedded target/mine.wasm --cases cases/
  polaris2istio module diff v1.wasm v2.wasm --cases cases/ --module-param env=prod
  polaris2istio module diff v1.wasm v2.wasm --cases cases/ -o json | jq '.cases[] | select(.status != \"unchanged\")'

  polaris2istio module diff --socket /run/polaris2istio/socket

Without modules, the controller that serves the socket compares its candidate with the module in use over all its entries.

A case is a folder with entry.yaml and answer.json, and parameters.json where the modules need any (`module test --help`).
Parameters go to both modules; `embedded` gets those that the default rules know. Where a module rejects or fails, an entry
keeps its last endpoints.

Exit code 0 if nothing would change, 1 if something would, or if it cannot be told (then stderr says why).";

/// Arguments of `module diff`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct DiffArgs {
    /// The module now: a component file, `embedded` for the default rules, or `oci://registry/repository:tag`
    #[arg(value_name = "A", requires_all = ["b", "cases"])]
    a: Option<Source>,
    /// The module that would take over
    #[arg(value_name = "B")]
    b: Option<Source>,
    /// A folder of cases, or one case
    #[arg(long, value_name = "DIR", requires = "a")]
    cases: Option<PathBuf>,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten, next_help_heading = "Conversion module")]
    sandbox: SandboxArgs,
}

/// All cases, compared.
#[derive(Debug, Serialize)]
struct Report {
    a: Named,
    b: Named,
    cases: Vec<Comparison>,
    summary: Summary,
}

/// The name of a module.
#[derive(Debug, Serialize)]
struct Named {
    module: String,
    name: String,
    version: String,
    digest: String,
}

/// The number of cases by result, and of endpoints of all cases together.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    unchanged: usize,
    changed: usize,
    newly_rejected: usize,
    failed: usize,
    endpoints_added: usize,
    endpoints_removed: usize,
    endpoints_altered: usize,
}

pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let (Some(a), Some(b), Some(cases)) = (&args.a, &args.b, &args.cases) else { return live::diff(&args.live) };
    let directories = Case::directories(cases)?;
    let (a, b) = (Side::new(a, &args.sandbox)?, Side::new(b, &args.sandbox)?);
    let parameters = args.sandbox.parameters();
    let mut cases = Vec::new();
    for directory in &directories {
        let case = Case::read(directory, &parameters)?;
        cases.push(Comparison::of(case.name.clone(), a.ask(&case), b.ask(&case)));
    }
    let report = Report { a: named(&a), b: named(&b), summary: Summary::of(&cases), cases };
    match args.live.output.data() {
        Some(format) => print(&report, format)?,
        None => report.write_text()?,
    }
    let differs = report.cases.iter().any(|case| case.status != Status::Unchanged);
    Ok(if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn named(side: &Side) -> Named {
    let (info, module) = (side.module.info(), &side.module);
    Named {
        module: module.origin().into(),
        name: info.name.clone(),
        version: info.version.clone(),
        digest: module.facts().digest.to_string(),
    }
}

/// Words of a module, as a terminal may have them.
fn shown(words: &str) -> String {
    text::shown(words, WORDS)
}

impl Summary {
    fn of(cases: &[Comparison]) -> Self {
        let mut summary = Self::default();
        for case in cases {
            match case.status {
                Status::Unchanged => summary.unchanged += 1,
                Status::Changed => summary.changed += 1,
                Status::NewlyRejected => summary.newly_rejected += 1,
                Status::Failed => summary.failed += 1,
            }
            summary.endpoints_added += case.endpoints.added.len();
            summary.endpoints_removed += case.endpoints.removed.len();
            summary.endpoints_altered += case.endpoints.altered.len();
        }
        summary
    }
}

impl Report {
    fn write_text(&self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        for (side, Named { module, name, version, digest }) in [("A", &self.a), ("B", &self.b)] {
            writeln!(out, "{side}  {module} ({name} {version}, {digest})")?;
        }
        writeln!(out)?;
        for case in &self.cases {
            writeln!(out, "case {} ... {}", case.case, case.status.words())?;
            for endpoint in &case.endpoints.removed {
                writeln!(out, "  - {}", shown(&line(endpoint)))?;
            }
            for endpoint in &case.endpoints.added {
                writeln!(out, "  + {}", shown(&line(endpoint)))?;
            }
            for altered in &case.endpoints.altered {
                writeln!(out, "  ~ {}: {}", shown(&altered.before.address), shown(&altered.parts()))?;
            }
            for field in &case.fields {
                writeln!(out, "  ~ {}", shown(field))?;
            }
            for reason in &case.reasons {
                writeln!(out, "  {}", shown(reason))?;
            }
        }
        let Summary { unchanged, changed, newly_rejected, failed, .. } = self.summary;
        let Summary { endpoints_added, endpoints_removed, endpoints_altered, .. } = self.summary;
        writeln!(
            out,
            "\ncases: {unchanged} unchanged, {changed} changed, {newly_rejected} newly rejected, {failed} failed"
        )?;
        writeln!(out, "endpoints: {endpoints_added} added, {endpoints_removed} removed, {endpoints_altered} altered")
    }
}
