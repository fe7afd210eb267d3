//! `module wit`: the world that this program speaks, for a project that builds outside of this repository.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

/// The world.
pub(super) const WORLD: &str = include_str!("../../../../wit/converter.wit");
/// The file of the world.
pub(super) const FILE: &str = "converter.wit";

/// Arguments of `module wit`.
#[derive(Debug, Args)]
pub(in crate::cli) struct WitArgs {
    /// The directory that converter.wit is written into; without it, it is printed
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn wit(args: &WitArgs) -> anyhow::Result<ExitCode> {
    let Some(directory) = &args.directory else {
        std::io::stdout().lock().write_all(WORLD.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let path = directory.join(FILE);
    std::fs::create_dir_all(directory).with_context(|| format!("{}: cannot be made", directory.display()))?;
    std::fs::write(&path, WORLD).with_context(|| format!("{}: cannot be written", path.display()))?;
    writeln!(std::io::stdout(), "wrote {}", path.display())?;
    Ok(ExitCode::SUCCESS)
}
