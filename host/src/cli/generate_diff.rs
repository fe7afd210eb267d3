//! `generate --diff`: what a policy would change in a cluster, as `kubectl diff` shows it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use kube::api::{Api, ListParams};
use serde_json::Value;

use super::line_diff::line_diff;
use crate::entries::ask_version;
use crate::guard::Settings;
use crate::policy::{Change, PolarisImport, Policy, RawEntry, changes};
use crate::registry::Catalogue;
use crate::run::{Cluster, connect};
use crate::text::counted;

/// Flags of the comparison.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// Show what the policy would change in the cluster, and change nothing; exit code 1 if there is something
    #[arg(long, requires = "policy", conflicts_with_all = ["only_missing", "output"])]
    pub(super) diff: bool,
    /// For --diff: a kubeconfig, in place of those of KUBECONFIG or the one in the home directory
    #[arg(long, env = "POLARIS2ISTIO_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// For --diff: the context of the kubeconfig to use, in place of its current one
    #[arg(long, env = "POLARIS2ISTIO_CONTEXT", value_name = "NAME")]
    context: Option<String>,
}

/// Compares the entries of a namespace with what a policy makes of it.
pub(super) async fn diff(
    args: &DiffArgs,
    policy: &PolarisImport,
    catalogue: Catalogue,
    namespace: &str,
) -> anyhow::Result<ExitCode> {
    let cluster = Cluster { kubeconfig: args.kubeconfig.clone(), context: args.context.clone() };
    let client = connect(&cluster, None).await?;
    let resource = ask_version(&client).await?.context("the CRD of ServiceEntries is missing: install Istio's CRDs")?;
    let api: Api<RawEntry> = Api::namespaced_with(client, namespace, &resource);
    let entries = api
        .list(&ListParams::default())
        .await
        .with_context(|| format!("ServiceEntries of namespace {namespace} cannot be listed"))?;
    let limit = Settings::default().fleet_limit;
    let (changes, report) = changes(Policy::new(policy), catalogue, entries.items, limit, Timestamp::now());
    print(&changes, namespace)?;
    for refused in &report.refused {
        eprintln!("warning: service {}: no entry: {}", refused.service.escape_debug(), refused.reason);
    }
    if report.trouble.is_some() {
        let (_, word, text) = report.words();
        eprintln!("warning: {word}: {text}");
    }
    let count = |fits: fn(&Change) -> bool| changes.iter().filter(|change| fits(change)).count();
    eprintln!(
        "{} would be made, {} changed and {} deleted; of the selected {}, {} get none",
        counted(count(|change| change.before.is_none()), "entry"),
        count(|change| change.before.is_some() && change.after.is_some()),
        count(|change| change.after.is_none()),
        counted(report.services, "service"),
        report.refused.len()
    );
    Ok(if changes.is_empty() && report.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print(changes: &[Change], namespace: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let text =
        |side: &Option<Value>| side.as_ref().map(serde_saphyr::to_string).transpose().map(Option::unwrap_or_default);
    for Change { name, before, after } in changes {
        let label = |side: &Option<Value>, word: &str| match side {
            Some(_) => format!("{word}/{namespace}/{name}"),
            None => "/dev/null".into(),
        };
        let lines = line_diff(&text(before)?, &text(after)?);
        write!(out, "--- {}\n+++ {}\n{lines}", label(before, "cluster"), label(after, "policy"))?;
    }
    Ok(())
}
