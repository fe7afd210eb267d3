//! `module push` and `module pull`: modules into registries and out of them, with no other tool.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use crate::cli::SandboxArgs;
use crate::cli::sandbox_args::runtime;
use crate::source::{Reference, Source, fetch, push};

const PUSH: &str = "\
Examples:
  polaris2istio module push target/mine.wasm oci://registry.example.com/rules/mine:v1
  polaris2istio module push target/mine.wasm oci://localhost:5000/rules/mine:v1

The layout is that of wkg: a config of application/vnd.wasm.config.v0+json and one layer of application/wasm. What is no module
is not pushed. The same module gets the same digest each time. Credentials come from a Docker config.json (docker login).";

const PULL: &str = "\
Examples:
  polaris2istio module pull oci://registry.example.com/rules/mine:v1 mine.wasm
  polaris2istio module pull oci://registry.example.com/rules/mine:v1 mine.wasm --module-key cosign.pub";

/// Arguments of `module push`.
#[derive(Debug, Args)]
#[command(after_help = PUSH)]
pub(in crate::cli) struct PushArgs {
    /// A component file, or `embedded` for the default rules
    #[arg(value_name = "FILE")]
    module: Source,
    /// Where it goes, as `oci://registry/repository:tag`
    #[arg(value_name = "REFERENCE")]
    to: Source,
    #[command(flatten, next_help_heading = "Conversion module")]
    sandbox: SandboxArgs,
}

/// Arguments of `module pull`.
#[derive(Debug, Args)]
#[command(after_help = PULL)]
pub(in crate::cli) struct PullArgs {
    /// A module in a registry, as `oci://registry/repository:tag` or `@sha256:...`
    #[arg(value_name = "REFERENCE")]
    from: Source,
    /// The file that it is written to
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten, next_help_heading = "Conversion module")]
    sandbox: SandboxArgs,
}

pub(super) fn push_module(args: &PushArgs) -> anyhow::Result<ExitCode> {
    let to = reference(&args.to)?;
    let mut settings = args.sandbox.source_settings();
    // The key is for what is pulled.
    settings.module_key = None;
    let runtime = runtime()?;
    let bytes = runtime.block_on(fetch(&args.module, &settings))?;
    let module = args.sandbox.check(&bytes)?;
    let pushed = runtime.block_on(push(to, bytes.bytes.clone(), &module.facts().exports, &settings))?;
    writeln!(std::io::stdout(), "pushed {}", pushed.pinned)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn pull_module(args: &PullArgs) -> anyhow::Result<ExitCode> {
    reference(&args.from)?;
    let module = runtime()?.block_on(fetch(&args.from, &args.sandbox.source_settings()))?;
    let path = args.file.display();
    std::fs::write(&args.file, &module.bytes).with_context(|| format!("{path}: cannot be written"))?;
    writeln!(std::io::stdout(), "pulled {}, {} bytes, into {path}", module.origin, module.bytes.len())?;
    Ok(ExitCode::SUCCESS)
}

fn reference(source: &Source) -> anyhow::Result<&Reference> {
    match source {
        Source::Oci(reference) => Ok(reference),
        other => bail!("{other}: names no registry; give a reference as oci://registry/repository:tag"),
    }
}
