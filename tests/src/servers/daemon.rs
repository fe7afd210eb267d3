//! A server's program and, while it runs, its process: what every server that
//! a test stops and starts again has in common.

use std::fmt::Display;
use std::time::Duration;

use super::process::{Process, Program};
use super::ready;

/// More than any of the servers takes to end when asked to; Polaris takes six
/// seconds.
const STOP: Duration = Duration::from_secs(30);

/// A program that serves until it is stopped or killed, and can be started
/// again.
pub(super) struct Daemon {
    program: Program,
    process: Option<Process>,
}

impl Daemon {
    pub(super) fn new(program: Program) -> Self {
        Self { program, process: None }
    }

    /// Starts it, in place of the process that may still run, and waits until
    /// `probe` answers.
    pub(super) async fn start<S, F>(&mut self, probe: impl Fn() -> F) -> Result<(), String>
    where
        S: Display,
        F: Future<Output = Result<(), S>>,
    {
        self.kill();
        ready::ready(self.process.insert(self.program.start()), probe).await
    }

    /// Stops it as an operator would.
    pub(super) async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate(STOP).await;
        }
    }

    /// Kills it as a crash would.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// Its process id, while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Sends it a signal, while it runs.
    pub(super) fn signal(&self, name: &str) {
        if let Some(process) = &self.process {
            process.signal(name);
        }
    }

    /// All that it has logged so far; nothing while it does not run.
    pub(super) fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }
}
