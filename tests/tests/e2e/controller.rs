//! The program under test, as a process with a log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use polaris2istio_tests::servers::{Directory, Process, Program};
use polaris2istio_tests::wait_for;
use serde_json::Value;

use super::SOON;

/// How to start a controller.
pub(crate) struct Start {
    flags: BTreeMap<&'static str, String>,
    kubeconfig: PathBuf,
}

impl Start {
    /// With quick polls, against these servers.
    pub(crate) fn new(kubeconfig: &Path, polaris: &str, namespace: &str) -> Self {
        let flags = BTreeMap::new();
        let start = Self { flags, kubeconfig: kubeconfig.into() };
        start
            .flag("polaris-address", polaris)
            .flag("namespace", namespace)
            .flag("poll-interval", "100ms")
            .flag("log-format", "json")
    }

    /// Sets a flag, in place of the value that it had; an empty value stands for a flag that takes none.
    pub(crate) fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.flags.insert(name, value.into());
        self
    }

    /// Uses another kubeconfig.
    pub(crate) fn kubeconfig(self, kubeconfig: &Path) -> Self {
        Self { kubeconfig: kubeconfig.into(), ..self }
    }

    /// Starts it.
    pub(crate) fn start(self) -> Controller {
        let directory = Directory::new("controller");
        let flags = self.flags.iter().map(|(name, value)| match value.as_str() {
            "" => format!("--{name}"),
            value => format!("--{name}={value}"),
        });
        let program = Program::new(&binary(), directory.path()).args(flags).env("KUBECONFIG", self.kubeconfig);
        Controller { process: program.start(), program, _directory: directory }
    }
}

/// The binary beside this test's own in the target directory.
pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.ancestors().nth(2).unwrap().join("polaris2istio");
    assert!(binary.exists(), "{} is missing; run `cargo build -p polaris2istio` first", binary.display());
    binary
}

/// A controller. It is killed when dropped.
pub(crate) struct Controller {
    pub(crate) process: Process,
    program: Program,
    _directory: Directory,
}

impl Controller {
    /// Its log, line by line; JSON where it is that.
    pub(crate) fn log(&self) -> Vec<String> {
        self.process.log().lines().map(str::to_owned).collect()
    }

    /// How many log lines contain all these words.
    pub(crate) fn said(&self, words: &[&str]) -> usize {
        self.log().iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }

    /// Waits until a log line contains all these words.
    pub(crate) async fn says(&self, words: &[&str]) {
        wait_for(&format!("a log line has {words:?}"), SOON, || async {
            if self.said(words) > 0 { Ok(()) } else { Err(self.process.log_tail()) }
        })
        .await;
    }

    /// The log lines about writes: their fields.
    pub(crate) fn writes(&self) -> Vec<Value> {
        let lines = self.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        lines.map(|mut line| line["fields"].take()).filter(|fields| fields["message"] == "entry written").collect()
    }

    /// Ends it as Kubernetes does.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.process.terminate(SOON).await
    }

    /// Starts it again after [`Self::stop`]; it goes on in the same log.
    pub(crate) fn start_again(&mut self) {
        self.process = self.program.start();
    }
}
