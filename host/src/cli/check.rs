//! `check`: is all there that a run with these flags needs?

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::RunArgs;
use crate::run::{Verdict, check as look};

const EXAMPLES: &str = "\
Examples:
  Before installing, with your own kubeconfig:
    polaris2istio check --polaris-address polaris.example.com:8091 --namespace polaris
  After it, with the rights that the controller has:
    helm test polaris2istio -n polaris2istio
    kubectl exec -n polaris2istio deploy/polaris2istio -- polaris2istio check

It takes the flags and variables of a run, and changes nothing. Exit code 1 if something fails; a warning is no failure.";

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    run: RunArgs,
}

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    let findings = runtime.block_on(async { anyhow::Ok(look(args.run.config()?).await) })?;
    runtime.shutdown_background();
    let mut worst = Verdict::Ok;
    let mut text = String::new();
    for finding in findings {
        worst = worst.max(finding.verdict);
        let words: String = finding.text.chars().map(crate::text::printable).collect();
        text.push_str(&format!("{:<5} {:<9} {words}\n", finding.verdict, finding.subject));
    }
    stdout().lock().write_all(text.as_bytes())?;
    Ok(if worst == Verdict::Fail { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
