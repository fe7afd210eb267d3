//! `version`: what this binary is made of, for whoever reports a fault or compares two of them.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::offline::print;
use super::output::Output;
use crate::converter::PACKAGE;
use crate::digest::Digest;
use crate::source::ModuleBytes;

/// Arguments of `version`.
#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
    commit: &'static str,
    toolchain: &'static str,
    /// The world that modules are to be of.
    world: &'static str,
    /// The digest of the module that is embedded.
    module: String,
}

pub(super) fn version(args: &VersionArgs) -> anyhow::Result<ExitCode> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("POLARIS2ISTIO_COMMIT"),
        toolchain: env!("POLARIS2ISTIO_TOOLCHAIN"),
        world: PACKAGE,
        module: Digest::of(&ModuleBytes::embedded().bytes).to_string(),
    };
    match args.output.data() {
        Some(format) => print(&version, format)?,
        None => {
            use std::io::Write;
            let Version { version, commit, toolchain, world, module } = version;
            let text = format!(
                "polaris2istio {version}\ncommit     {commit}\ntoolchain  {toolchain}\nworld      {world}\nmodule     {module}\n"
            );
            std::io::stdout().lock().write_all(text.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
