//! `convert`: an entry as it would become.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use polaris2istio_core::model::Severity;

use super::offline::{Format, OfflineArgs, Written, print};
use crate::controller::line;
use crate::observe::severity_word as severity;

const EXAMPLES: &str = "\
Examples:
  polaris2istio convert --entry entry.yaml --answer answer.json
  polaris2istio convert --entry entry.yaml --answer answer.json | diff entry.yaml -

An answer comes from a running controller (`polaris2istio answer default/reviews > answer.json`), or the registry:
  curl -s polaris:8090/v1/Discover -H 'Content-Type: application/json' \\
    -d '{\"type\":\"INSTANCE\",\"service\":{\"namespace\":\"default\",\"name\":\"reviews\"}}' > answer.json

Warnings go to stderr. Exit code 1 where the rules reject the entry.";

/// Arguments of `convert`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ConvertArgs {
    /// A file with one ServiceEntry (YAML or JSON); with its managedFields where it comes from a cluster
    #[arg(long, value_name = "FILE")]
    entry: PathBuf,
    /// A file with a Polaris answer, as POST /v1/Discover gives it
    #[arg(long, value_name = "FILE")]
    answer: PathBuf,
    #[command(flatten)]
    offline: OfflineArgs,
    /// How the entry is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
}

pub(super) fn convert(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    let mut offline = args.offline.convert(&args.entry, &args.answer)?;
    for diagnostic in &offline.outcome.diagnostics {
        eprintln!("{} {}: {}", severity(diagnostic.severity), diagnostic.code, line(diagnostic, &offline.service));
    }
    for remark in &offline.remarks {
        eprintln!("{} {}: {}", severity(remark.severity), remark.code, remark.text);
    }
    let Some(update) = offline.update() else { return Ok(ExitCode::from(1)) };
    let Written { apply, holds } = args.offline.apply(&offline, update)?;
    for hold in holds.iter().filter(|hold| hold.severity != Severity::Info) {
        eprintln!("{} {}: {}", severity(hold.severity), hold.code, hold.text);
    }
    let object = match &apply {
        Some(apply) => offline.document.with(apply),
        None => offline.document.value.clone(),
    };
    print(&object, args.output)?;
    Ok(ExitCode::SUCCESS)
}
