//! What `convert` and `explain` share: one entry and one answer from files, through the module and the plan, with no
//! server and no guard.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use polaris2istio_core::model::{Outcome, Service, Severity, Update, Verdict};

use super::ModuleArgs;
use crate::binding::empty_service;
use crate::cases::files;
use crate::entries::Document;
use crate::plan::check;
use crate::plan::{Apply, Desired, plan};
use crate::registry::Content;

/// Input of the offline verbs.
#[derive(Debug, Args)]
pub(super) struct OfflineArgs {
    /// A file with one ServiceEntry (YAML or JSON); with its managedFields where it comes from a cluster
    #[arg(long, value_name = "FILE")]
    entry: PathBuf,
    /// A file with a Polaris answer, as POST /v1/Discover gives it
    #[arg(long, value_name = "FILE")]
    answer: PathBuf,
    #[command(flatten)]
    module: ModuleArgs,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// One entry with an answer, converted.
pub(super) struct Offline {
    pub(super) document: Document,
    pub(super) service: Service,
    /// Whether the registry has the service at all.
    pub(super) missing: bool,
    pub(super) outcome: Outcome,
}

impl OfflineArgs {
    pub(super) fn convert(&self) -> anyhow::Result<Offline> {
        let document = files::entry(&self.entry)?;
        let answer = files::answer(&self.answer, &document)?;
        let (service, missing) = match answer.content {
            Content::Listed(service) => (Arc::unwrap_or_clone(service), false),
            Content::Missing => (empty_service(Some(&answer.service)), true),
        };
        let view = document.entry.view()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
        let outcome = runtime.block_on(self.module.converter())?.call(&service, &view, None)?;
        Ok(Offline { document, service, missing, outcome })
    }

    /// The apply that an update leads to, after the host's own checks.
    pub(super) fn apply(&self, offline: &Offline, update: Update) -> anyhow::Result<Option<Apply>> {
        let desired = Desired::of(update, &offline.service);
        let live = &offline.document.entry;
        check(&desired, live, &self.module.addresses()).context("the module's answer breaks a rule")?;
        let plan = plan(&desired, live);
        for field in plan.contested {
            eprintln!("left as it is: {field}, who wants something else");
        }
        Ok(plan.apply)
    }
}

impl Offline {
    /// The update; none where the module rejects.
    pub(super) fn update(&mut self) -> Option<Update> {
        match std::mem::replace(&mut self.outcome.verdict, Verdict::Rejected) {
            Verdict::Update(update) => Some(update),
            Verdict::Unchanged | Verdict::Rejected => None,
        }
    }
}

/// Prints a value as data.
pub(super) fn print(value: &impl serde::Serialize, format: Format) -> anyhow::Result<()> {
    use std::io::Write;
    let text = match format {
        Format::Yaml => serde_saphyr::to_string(value).context("YAML")?,
        Format::Json => format!("{}\n", serde_json::to_string_pretty(value).context("JSON")?),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).context("stdout")
}

/// A severity in words.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}
