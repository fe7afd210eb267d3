//! The program under test, as a process with a log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use polaris2istio_tests::servers::{Directory, Process, Program, Release};
use polaris2istio_tests::wait_for;
use serde_json::Value;

use super::SOON;

/// The socket, in the directory that the program runs in.
const SOCKET: &str = "socket";

/// How to start a controller.
pub(crate) struct Start {
    flags: BTreeMap<&'static str, String>,
    switches: Vec<&'static str>,
    kubeconfig: PathBuf,
    environment: Vec<(&'static str, String)>,
    log: Option<PathBuf>,
}

impl Start {
    /// With quick polls, as installed, against this Polaris.
    pub(crate) fn new(release: &Release, polaris: &str, namespace: &str) -> Self {
        let flags = BTreeMap::new();
        let (kubeconfig, environment) = (release.kubeconfig.clone(), Vec::new());
        let start = Self { flags, switches: Vec::new(), kubeconfig, environment, log: None };
        start
            .env("POD_NAMESPACE", &release.namespace)
            .flag("polaris-address", polaris)
            .flag("namespace", namespace)
            .flag("poll-interval", "100ms")
            .flag("log-format", "json")
            // Each has its namespace to itself, and need not wait for the lease of one that a test has killed.
            .flag("leader-election", "false")
            .flag("http-address", "none")
            .flag("probe-address", "none")
    }

    /// Sets a flag, in place of the value that it had.
    pub(crate) fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.flags.insert(name, value.into());
        self
    }

    /// Sets a flag that takes no value.
    pub(crate) fn switch(mut self, name: &'static str) -> Self {
        self.switches.push(name);
        self
    }

    /// Has it follow a directory of answers in Polaris's place.
    pub(crate) fn answers(mut self, directory: &Path) -> Self {
        self.flags.remove("polaris-address");
        self.flag("answers", &directory.display().to_string())
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Uses another kubeconfig.
    pub(crate) fn kubeconfig(self, kubeconfig: &Path) -> Self {
        Self { kubeconfig: kubeconfig.into(), ..self }
    }

    /// Logs to a file elsewhere.
    pub(crate) fn log(self, path: &Path) -> Self {
        Self { log: Some(path.into()), ..self }
    }

    /// Takes commands, of [`Controller::verb`].
    pub(crate) fn socket(self) -> Self {
        self.flag("socket", SOCKET)
    }

    /// Serves HTTP, for [`Controller::get`], at a port that is free.
    pub(crate) fn http(self) -> Self {
        self.flag("http-address", "127.0.0.1:0")
    }

    /// Starts it.
    pub(crate) fn start(self) -> Controller {
        let directory = Directory::new("controller");
        let flags = self.flags.iter().map(|(name, value)| format!("--{name}={value}"));
        let flags = flags.chain(self.switches.iter().map(|name| format!("--{name}")));
        let program = Program::new(&binary(), directory.path()).args(flags).env("KUBECONFIG", self.kubeconfig);
        let program = self.environment.into_iter().fold(program, |program, (name, value)| program.env(name, value));
        let program = if let Some(log) = self.log { program.log(log) } else { program };
        Controller { process: program.start(), program, directory }
    }
}

pub(crate) use polaris2istio_tests::binary;

/// A controller. It is killed when dropped.
pub(crate) struct Controller {
    pub(crate) process: Process,
    program: Program,
    directory: Directory,
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

    /// Whether it led under this name last.
    pub(crate) fn leads_as(&self, identity: &str) -> bool {
        let terms = self.log().into_iter().rfind(|line| line.contains("this replica writes from now on"));
        terms.is_some_and(|line| line.contains(identity))
    }

    /// The log lines about writes: their fields, and the entry of their span.
    pub(crate) fn writes(&self) -> Vec<Value> {
        let lines = self.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let writes = lines.filter(|line| line["fields"]["message"] == "entry written");
        let fields = writes.map(|mut line| {
            line["fields"]["entry"] = line["span"]["entry"].take();
            line["fields"].take()
        });
        fields.collect()
    }

    /// Runs a verb against its socket, which it must have been given by [`Start::socket`]. Returns what it printed.
    pub(crate) fn verb(&self, arguments: &[&str]) -> String {
        let mut command = std::process::Command::new(binary());
        command.args(arguments).arg("--socket").arg(self.directory.path().join(SOCKET));
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The HTTP status and the text that it serves at a path, if it was started with [`Start::http`]. Metrics are asked for as
    /// Prometheus asks.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.get_as(path, "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3").await
    }

    /// The same, in one of these formats.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> (u16, String) {
        let address = wait_for("HTTP is served", SOON, || async {
            let lines = self.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
            let said = lines.filter_map(|line| line["fields"]["address"].as_str().map(str::to_owned)).next_back();
            said.ok_or("not yet")
        })
        .await;
        let request = reqwest::Client::new().get(format!("http://{address}{path}")).header("accept", accept);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
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
