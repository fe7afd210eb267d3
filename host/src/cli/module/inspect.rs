//! `module inspect`: the facts about a module, or the reason why it is refused.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cli::SandboxArgs;
use crate::cli::offline::print;
use crate::cli::output::Output;
use crate::converter::{LoadedModule, PACKAGE};
use crate::source::Source;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  polaris2istio module inspect embedded
  polaris2istio module inspect target/mine.wasm
  polaris2istio module inspect target/mine.wasm -o json | jq -r .digest
  polaris2istio module inspect oci://registry.example.com/rules/mine:v1

A module that is refused exits with 1, and the reason on stderr: something else than a component, a component of
another world or version, one that imports anything, one that is too large, or one that does not say what it is.";

/// Arguments of `module inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct InspectArgs {
    /// A component file, a directory with one, `embedded` for the default rules, or `oci://registry/repository:tag`
    #[arg(value_name = "MODULE")]
    module: Source,
    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    #[command(flatten, next_help_heading = "Conversion module")]
    sandbox: SandboxArgs,
}

/// The facts about a module.
#[derive(Debug, Serialize)]
struct Inspection<'a> {
    module: &'a str,
    name: &'a str,
    version: &'a str,
    summary: &'a str,
    world: String,
    imports: &'a [String],
    exports: &'a [String],
    size: u64,
    digest: String,
}

pub(super) fn inspect(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let module = args.sandbox.load_now(&args.module)?;
    let inspection = Inspection::of(&module);
    match args.output.data() {
        Some(format) => print(&inspection, format)?,
        None => inspection.write_text()?,
    }
    Ok(ExitCode::SUCCESS)
}

impl<'a> Inspection<'a> {
    fn of(module: &'a LoadedModule) -> Self {
        let (info, facts) = (module.info(), module.facts());
        Self {
            module: module.origin(),
            name: &info.name,
            version: &info.version,
            summary: &info.summary,
            world: world(),
            imports: &facts.imports,
            exports: &facts.exports,
            size: facts.size,
            digest: facts.digest.to_string(),
        }
    }

    fn write_text(&self) -> std::io::Result<()> {
        use std::io::Write;
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let (imports, exports, size) = (list(self.imports), list(self.exports), format!("{} bytes", self.size));
        let mut out = std::io::stdout().lock();
        for (title, value) in [
            ("module", self.module),
            ("name", self.name),
            ("version", self.version),
            ("summary", self.summary),
            ("world", &self.world),
            ("imports", &imports),
            ("exports", &exports),
            ("size", &size),
            ("digest", &self.digest),
        ] {
            // A module's description of itself must not steer a terminal.
            let value: String = value.chars().map(text::printable).collect();
            writeln!(out, "{title:<8} {value}")?;
        }
        Ok(())
    }
}

/// The full name of the world of every module in use.
fn world() -> String {
    let (package, version) = PACKAGE.split_once('@').unwrap_or((PACKAGE, ""));
    format!("{package}/converter@{version}")
}
