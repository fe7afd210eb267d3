//! The binary: reads the command line and does what it says.

use std::process::ExitCode;

use polaris2istio::cli::Cli;

fn main() -> ExitCode {
    match Cli::read().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
