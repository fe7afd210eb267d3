//! `generate`: the entries that a policy would make.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::generate_diff::{DiffArgs, diff};
use super::offline::Format;
use super::registry_args::RegistryArgs;
use crate::entries::Contents;
use crate::policy::{PolarisImport, PolarisImportSpec, generate as make, schema, unknown_fields};
use crate::registry::{Catalogue, Listing};
use crate::text;
use crate::text::counted;

const EXAMPLES: &str = "\
Examples:
  polaris2istio generate --polaris-address polaris:8091 --polaris-namespace default --host {service}.polaris
  polaris2istio generate --polaris-address polaris:8091 --policy policy.yaml --diff
  polaris2istio generate --answers answers/ --policy policy.yaml --only-missing entries/ > entries/new.yaml

Services without an entry are told on stderr, each with the reason. Exit code 1 where there are some.";

/// Arguments of `generate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GenerateArgs {
    /// A file with a policy (PolarisImport, YAML or JSON)
    #[arg(long, value_name = "FILE", required_unless_present = "polaris_namespace")]
    policy: Option<PathBuf>,
    /// The namespace of the registry, in place of a policy's
    #[arg(long, value_name = "NAME", conflicts_with = "policy", requires = "host")]
    polaris_namespace: Option<String>,
    /// A host of each entry, with {service} and perhaps {namespace} in it; may be given several times
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "policy")]
    host: Vec<String>,
    /// Services by name, as globs; all if it is not set
    #[arg(long, value_name = "GLOB,...", conflicts_with = "policy", value_delimiter = ',')]
    names: Vec<String>,
    /// Services that are left out, as globs
    #[arg(long, value_name = "GLOB,...", conflicts_with = "policy", value_delimiter = ',')]
    exclude: Vec<String>,
    /// The namespace of the entries, if the policy names none
    #[arg(long, value_name = "NAME", default_value = "polaris")]
    namespace: String,
    /// Leave out services that have an entry in this directory
    #[arg(long, value_name = "DIR")]
    only_missing: Option<PathBuf>,
    /// How entries are printed
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
    #[command(flatten)]
    diff: DiffArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(super) fn generate(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    let (spec, namespace) = args.spec()?;
    if let Some(problem) = spec.problem() {
        bail!("policy: {problem}");
    }
    if let (true, Some(path)) = (args.diff.diff, &args.policy) {
        let policy = read(path)?;
        return wait(async {
            let catalogue = args.catalogue(&spec.polaris_namespace).await?;
            diff(&args.diff, &policy, catalogue, &namespace).await
        });
    }
    let existing = args.only_missing.as_deref().map(existing).transpose()?.unwrap_or_default();
    let catalogue = wait(args.catalogue(&spec.polaris_namespace))?;
    let generated = make(&spec, &catalogue, &existing, &namespace);
    print(&generated.entries, args.output)?;
    for refused in &generated.refused {
        eprintln!("warning: service {}: no entry: {}", refused.service.escape_debug(), refused.reason);
    }
    eprintln!(
        "{} for {} of namespace {}; {} have one, {} get none",
        counted(generated.entries.len(), "entry"),
        counted(generated.entries.len() + generated.there + generated.refused.len(), "service"),
        spec.polaris_namespace,
        generated.there,
        generated.refused.len()
    );
    Ok(if generated.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl GenerateArgs {
    /// The policy, by file or by flags, and the namespace of its entries.
    fn spec(&self) -> anyhow::Result<(PolarisImportSpec, String)> {
        let Some(path) = &self.policy else {
            let mut select = json!({"exclude": self.exclude});
            if !self.names.is_empty() {
                select["names"] = json!(self.names);
            }
            let spec =
                json!({"polarisNamespace": self.polaris_namespace, "select": select, "template": {"hosts": self.host}});
            return Ok((serde_json::from_value(spec)?, self.namespace.clone()));
        };
        let policy = read(path)?;
        let namespace = policy.metadata.namespace.unwrap_or_else(|| self.namespace.clone());
        Ok((policy.spec, namespace))
    }

    async fn catalogue(&self, namespace: &str) -> anyhow::Result<Catalogue> {
        match self.registry.catalogue()?.list(namespace, "").await? {
            Listing::Listed(catalogue) if catalogue.is_unknown() => {
                bail!("the registry knows no namespace `{namespace}`, or nothing in it; check its spelling")
            }
            Listing::Listed(catalogue) => Ok(catalogue),
            Listing::Unchanged => bail!("the registry says that nothing changed, but it was not asked before"),
        }
    }
}

fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?.block_on(work)
}

/// The one policy of a file.
fn read(path: &Path) -> anyhow::Result<PolarisImport> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("policy {shown}: cannot be read"))?;
    let text = text::read(&bytes).with_context(|| format!("policy {shown}"))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| anyhow::anyhow!("policy {shown}: not valid YAML: {}", text::yaml_problem(&error, 0)))?;
    let mut policies = documents.into_iter().filter(|document| document["kind"] == "PolarisImport");
    let (Some(document), None) = (policies.next(), policies.next()) else {
        bail!("policy {shown}: it must hold one document of kind PolarisImport; give a file with one");
    };
    if let [first, ..] = &unknown_fields(&document["spec"], &schema()["properties"]["spec"])[..] {
        bail!("policy {shown}: spec.{first}: there is no such field; `kubectl explain polarisimport.spec` lists them");
    }
    serde_json::from_value(document).with_context(|| format!("policy {shown}: it is no PolarisImport"))
}

/// The entries of a directory.
fn existing(directory: &Path) -> anyhow::Result<Vec<Value>> {
    let shown = directory.display();
    let files = std::fs::read_dir(directory).with_context(|| format!("entries {shown}: cannot be read"))?;
    let mut entries = Vec::new();
    for path in files.flatten().map(|file| file.path()) {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !matches!(ending, "yaml" | "yml" | "json") {
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| format!("entries {}: cannot be read", path.display()))?;
        let contents = Contents::read(&bytes, &path.display().to_string());
        // A file that cannot be read may have any entry.
        if let Some(error) = contents.errors.into_iter().next() {
            return Err(error.into());
        }
        entries.extend(contents.entries.into_iter().map(|entry| entry.value));
    }
    Ok(entries)
}

fn print(entries: &[Value], format: Format) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Yaml => {
            for entry in entries {
                write!(out, "---\n{}", serde_saphyr::to_string(entry)?)?;
            }
        }
        Format::Json => {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": entries});
            writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
        }
    }
    Ok(())
}
