//! The common part of `convert` and of `explain` with files: one entry and one answer from files, through the module, the guard and the
//! plan, with no server and no past.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use polaris2istio_core::model::{Outcome, Service, Update, Verdict};

use super::ModuleArgs;
use super::remarks::{Remark, guard, remarks};
use crate::annotation::REVISION;
use crate::binding::{empty_service, tell_missing};
use crate::cases::files;
use crate::entries::Document;
use crate::guard::Origins;
use crate::plan::check;
use crate::plan::{Apply, Desired, plan};
use crate::registry::Content;

/// How the offline verbs convert; which files, each says itself.
#[derive(Debug, Args)]
pub(super) struct OfflineArgs {
    /// What the controller's --namespace is
    #[arg(long, value_name = "NAME", default_value = "polaris")]
    namespace: String,
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
    /// The registry's word on the service.
    heard: Content,
    /// The service as the module is given it.
    pub(super) service: Arc<Service>,
    pub(super) outcome: Outcome,
    /// The metadata of instances that the module leaves out by a parameter.
    excluded: Vec<(String, String)>,
    /// The remarks on a running controller, which hold whatever the module says.
    pub(super) remarks: Vec<Remark>,
}

/// The write that would be made.
pub(super) struct Written {
    pub(super) apply: Option<Apply>,
    /// The guard's remarks.
    pub(super) holds: Vec<Remark>,
}

impl OfflineArgs {
    /// Converts an entry with an answer, both from files.
    pub(super) fn convert(&self, entry: &Path, answer: &Path) -> anyhow::Result<Offline> {
        let mut document = files::entry(entry)?;
        if document.value.pointer("/metadata/namespace").is_none() {
            document.entry.metadata.namespace = Some(self.namespace.clone());
        }
        let answer = files::answer(answer, &document)?;
        let heard = answer.content;
        let service = match &heard {
            Content::Listed(service) => Arc::clone(service),
            Content::Missing => Arc::new(empty_service(Some(&answer.service))),
        };
        let view = document.entry.view()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
        let module = runtime.block_on(self.module.load())?;
        let called = module.call(&service, &view, None);
        let mut outcome = called.map_err(|error| anyhow::anyhow!("{}", error.with_backtrace()))?;
        if heard.is_missing() {
            tell_missing(&mut outcome, &answer.service);
        }
        let remarks = remarks(&document.entry, &self.namespace);
        let excluded = module.identity().excluded_metadata();
        Ok(Offline { document, heard, service, outcome, excluded, remarks })
    }

    /// The apply that an update leads to, after the host's own checks and the guard.
    pub(super) fn apply(&self, offline: &Offline, update: Update) -> anyhow::Result<Written> {
        let Offline { service, heard, excluded, .. } = offline;
        let origins = Origins::of(&update, service);
        let mut desired = Desired::of(update, service);
        let live = &offline.document.entry;
        check(&desired, live, &self.module.addresses())?;
        let holds = guard(&mut desired, live, heard, origins, (excluded, &self.module.addresses()));
        if heard.is_missing() {
            desired.revision = live.annotation(REVISION).unwrap_or_default().to_owned();
            if desired.endpoints.is_empty() && live.spec.endpoints.is_empty() {
                return Ok(Written { apply: None, holds });
            }
        }
        let plan = plan(&desired, live);
        for field in plan.contested {
            eprintln!("left as it is: {field}, who wants something else");
        }
        Ok(Written { apply: plan.apply, holds })
    }
}

impl Offline {
    /// Whether the registry has no such service.
    pub(super) fn is_missing(&self) -> bool {
        self.heard.is_missing()
    }

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
