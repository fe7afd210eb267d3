//! `module capture`: a case of an entry of a running controller, with the registry's answer, the parameters, and what the module in
//! use says.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::live::SocketArgs;
use crate::cases::{ANSWER, Case, ENTRY, OUTCOME, PARAMETERS, pretty};
use crate::cli::offline::{Format, print};
use crate::control::Command;
use crate::observe::Capture;
use crate::text;

/// The largest capture that is read, in bytes: an entry and an answer of some thousand instances are a few megabytes.
const LARGEST: u64 = 64 << 20;

const EXAMPLES: &str = "\
Examples:
  polaris2istio module capture polaris/reviews cases/reviews
  kubectl exec -n polaris2istio deploy/polaris2istio -- polaris2istio module capture polaris/reviews | polaris2istio module capture polaris/reviews cases/reviews --from -
  polaris2istio module test target/mine.wasm cases/reviews

The case has the entry as it is, the registry's last answer, the parameters of the module in use, and what that module says: so
`module test` shows what yours says otherwise. Fields that no rule reads are not in it. Without a directory it is printed.";

/// Arguments of `module capture`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct CaptureArgs {
    /// An entry of the running controller, as NAMESPACE/NAME
    #[arg(value_name = "ENTRY")]
    entry: String,
    /// The directory of the case, which is made; without it the case is printed as JSON
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// A file with what was printed elsewhere, in place of the controller; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "directory")]
    from: Option<PathBuf>,
    #[command(flatten)]
    socket: SocketArgs,
}

pub(super) fn capture(args: &CaptureArgs) -> anyhow::Result<ExitCode> {
    let capture = match &args.from {
        Some(file) => read(file)?,
        None => {
            let value = args.socket.ask(&Command::Capture(args.entry.clone()))?;
            serde_json::from_value(value).context("the controller is of another release")?
        }
    };
    if capture.name != args.entry {
        bail!("entry {}: what was captured is of {}", args.entry, text::shown(&capture.name, 300));
    }
    match &args.directory {
        None => print(&capture, Format::Json)?,
        Some(directory) => write(&capture, directory)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<Capture> {
    let is_stdin = file.as_os_str() == "-";
    let mut text = Vec::new();
    let taken = if is_stdin {
        std::io::stdin().take(LARGEST).read_to_end(&mut text)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(LARGEST).read_to_end(&mut text))
    };
    let shown = if is_stdin { "standard input".into() } else { file.display().to_string() };
    taken.with_context(|| format!("{shown}: cannot be read"))?;
    let read = serde_json::from_slice(&text);
    read.with_context(|| format!("{shown}: is not what `module capture NAMESPACE/NAME` prints"))
}

fn write(capture: &Capture, directory: &Path) -> anyhow::Result<()> {
    let shown = directory.display();
    if directory.read_dir().is_ok_and(|mut files| files.next().is_some()) {
        bail!("{shown}: is not empty; name a directory that is not there yet");
    }
    std::fs::create_dir_all(directory).with_context(|| format!("{shown}: cannot be made"))?;
    let mut files =
        vec![(ENTRY, serde_saphyr::to_string(&capture.entry).context("YAML")?), (ANSWER, pretty(&capture.answer))];
    if !capture.parameters.is_empty() {
        files.push((PARAMETERS, pretty(&json!(capture.parameters))));
    }
    if let Some(outcome) = &capture.outcome {
        files.push((OUTCOME, pretty(outcome)));
    }
    for (name, text) in &files {
        let path = directory.join(name);
        std::fs::write(&path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    // What was written has to be a case.
    Case::read(directory, &[])?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "wrote {} files; run it: polaris2istio module test MODULE {shown}", files.len())?;
    let module = text::shown(&capture.module, 300);
    match capture.silence.as_str() {
        "" => writeln!(out, "{OUTCOME} is what the module in use says: {module}")?,
        silence => writeln!(
            out,
            "there is no {OUTCOME}, since the module in use ({module}) says nothing: {}",
            text::shown(silence, 1_000)
        )?,
    }
    Ok(())
}
