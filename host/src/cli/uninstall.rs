//! `uninstall`: takes away what is left in a cluster when the controller is gone.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{ArgGroup, Args, ValueEnum};

use crate::run::{Cluster, Found, Made, Uninstall};
use crate::text::printable;

const EXAMPLES: &str = "\
Examples:
  Stop the controller, see what is left, then take it away:
    helm uninstall polaris2istio --namespace polaris2istio
    polaris2istio uninstall --plan --namespace polaris
    polaris2istio uninstall --apply --namespace polaris

It uses your kubeconfig. Entries stay, with their endpoints. Exit code 1 if something could not be taken away.";

/// Where the controller is, if nothing is said.
const NAMESPACE: &str = "polaris2istio";

/// Arguments of `uninstall`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("what").required(true).args(["plan", "apply"]))]
pub(super) struct UninstallArgs {
    /// Print what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    /// Do it
    #[arg(long)]
    apply: bool,
    /// The namespace of the ServiceEntries
    #[arg(long, short, value_name = "NAME", default_value = "polaris")]
    namespace: String,
    /// What becomes of entries that policies made
    #[arg(long, value_name = "WHAT", default_value = "keep")]
    made: MadeArg,
    /// Remove the annotations of polaris2istio as well; entries that policies made are then the operator's own
    #[arg(long)]
    annotations: bool,
    /// The Lease, as `[NAMESPACE/]NAME`; its namespace is polaris2istio, or the pod's
    #[arg(long, value_name = "NAME", default_value = "polaris2istio")]
    lease: String,
    /// The ConfigMap of the shared state, as `[NAMESPACE/]NAME`
    #[arg(long, value_name = "NAME", default_value = "polaris2istio-state")]
    state: String,
    /// Do it though a controller renews the Lease, and would take everything back
    #[arg(long, requires = "apply")]
    force: bool,
    /// A kubeconfig, in place of those of KUBECONFIG or the one in the home directory
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use, in place of its current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MadeArg {
    /// They stay, as all others.
    Keep,
    /// They are deleted, with their endpoints.
    Delete,
}

pub(super) fn uninstall(args: &UninstallArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    runtime.block_on(async {
        let uninstall = args.uninstall();
        let found = uninstall.find().await?;
        if args.apply { apply(args, &uninstall, found).await } else { plan(&found) }
    })
}

fn plan(found: &Found) -> anyhow::Result<ExitCode> {
    for leftover in &found.leftovers {
        say(&leftover.to_string())?;
    }
    remarks(found)?;
    if let Some(leader) = &found.leader {
        say(&format!("stop the controller first: {leader} renews the Lease"))?;
    }
    match found.leftovers.len() {
        0 => say("nothing is left")?,
        count => say(&format!("nothing was changed; --apply in place of --plan does these {count}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn apply(args: &UninstallArgs, uninstall: &Uninstall, found: Found) -> anyhow::Result<ExitCode> {
    if let Some(leader) = found.leader.as_ref().filter(|_| !args.force) {
        bail!(
            "nothing was changed: {} renews the Lease {}, and would take everything back; stop the controller first (helm uninstall), or add --force",
            leader.chars().map(printable).collect::<String>(),
            uninstall.lease.1
        );
    }
    remarks(&found)?;
    let done = std::cell::Cell::new(0_usize);
    let tell = |leftover: &crate::run::Leftover| {
        done.set(done.get() + 1);
        // Whoever reads no more has it done all the same.
        let _ = say(&leftover.to_string());
    };
    let failed = uninstall.remove(found, tell).await?;
    for (leftover, reason) in &failed {
        say(&format!("FAILED {leftover}: {reason}"))?;
    }
    say(&format!("done: {}, failed: {}", done.get(), failed.len()))?;
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn remarks(found: &Found) -> anyhow::Result<()> {
    found.remarks.iter().try_for_each(|remark| say(remark))
}

/// Prints a line; names come from the cluster.
fn say(line: &str) -> anyhow::Result<()> {
    let line: String = line.chars().map(printable).collect();
    Ok(writeln!(stdout().lock(), "{line}")?)
}

impl UninstallArgs {
    fn uninstall(&self) -> Uninstall {
        let made = match self.made {
            MadeArg::Keep => Made::Keep,
            MadeArg::Delete => Made::Delete,
        };
        Uninstall {
            cluster: Cluster { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() },
            namespace: self.namespace.clone(),
            lease: place(&self.lease),
            state: place(&self.state),
            made,
            strip: self.annotations,
        }
    }
}

/// Namespace and name of an object in the controller's namespace.
fn place(text: &str) -> (String, String) {
    match text.split_once('/') {
        Some((namespace, name)) => (namespace.into(), name.into()),
        None => (std::env::var("POD_NAMESPACE").unwrap_or_else(|_| NAMESPACE.into()), text.into()),
    }
}
