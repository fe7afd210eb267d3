//! Three directories and a controller over them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take before a test fails; far more than it takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// Directories for answers, entries and results.
pub struct Bench {
    directory: tempfile::TempDir,
}

/// A controller at work; it ends with the value.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Bench {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["answers", "entries", "out"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// An answer that lists these instances, given as (host, weight), all of port 8080 and protocol http.
    pub fn answer(&self, service: &str, instances: &[(&str, u32)]) {
        self.write(&format!("answers/{service}.json"), answer(service, instances).to_string());
    }

    /// An entry for a service, with more annotations.
    pub fn entry(&self, service: &str, annotations: Value) {
        self.write(&format!("entries/{service}.yaml"), entry(service, annotations).to_string());
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_polaris2istio"));
        command.arg("--answers").arg(self.path("answers"));
        command.arg("--entries").arg(self.path("entries"));
        command.arg("--output").arg(self.path("out"));
        command
    }

    pub fn start(&self, flags: &[&str]) -> Running {
        let log = self.path("log");
        let stderr = std::fs::File::create(&log).unwrap();
        let child = self.command().args(flags).stderr(stderr).stdout(Stdio::null()).spawn().unwrap();
        Running { child, log }
    }

    /// Runs with `--once`. Returns the exit code and what was logged.
    pub fn once(&self, flags: &[&str]) -> (i32, String) {
        let mut child = self.command().arg("--once").args(flags).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (child.wait().unwrap().code().unwrap(), log)
    }

    /// The addresses of an entry's endpoints in its output file; `None` if there is no file.
    pub fn addresses(&self, service: &str) -> Option<Vec<String>> {
        let object = self.output(service)?;
        let endpoints = object["spec"]["endpoints"].as_array().cloned().unwrap_or_default();
        Some(endpoints.iter().map(|endpoint| endpoint["address"].as_str().unwrap().to_owned()).collect())
    }

    pub fn output(&self, service: &str) -> Option<Value> {
        read_yaml(&self.path(&format!("out/polaris.{service}.yaml")))
    }

    /// Waits until an entry has these addresses.
    #[track_caller]
    pub fn expect(&self, service: &str, addresses: &[&str]) {
        wait(&format!("{service} has {addresses:?}"), || {
            let found = self.addresses(service);
            if found.as_ref().is_some_and(|found| found == addresses) { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }
}

impl Running {
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log has a text.
    #[track_caller]
    pub fn expect_log(&self, text: &str) {
        wait(&format!("the log says `{text}`"), || if self.log().contains(text) { Ok(()) } else { Err(self.log()) });
    }

    /// Waits until the log has a text so often; more often is a failure. What is written may be seen before it is logged.
    #[track_caller]
    pub fn expect_count(&self, text: &str, count: usize) {
        wait(&format!("the log says `{text}` {count} times"), || {
            if self.count(text) >= count { Ok(()) } else { Err(self.log()) }
        });
        assert_eq!(self.count(text), count, "{}", self.log());
    }

    /// How often the log has a text.
    pub fn count(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> i32 {
        let mut code = None;
        wait("the controller ends", || match self.child.try_wait().unwrap() {
            Some(status) => {
                code = status.code();
                Ok(())
            }
            None => Err("it runs".into()),
        });
        code.expect("it ended by itself")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a condition holds; fails with what was seen last.
#[track_caller]
pub fn wait(what: &str, mut condition: impl FnMut() -> Result<(), String>) {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(()) => return,
            Err(seen) if start.elapsed() > DEADLINE => panic!("{what}: not after {DEADLINE:?}; last seen: {seen}"),
            Err(_) => std::thread::park_timeout(Duration::from_millis(5)),
        }
    }
}

fn read_yaml(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(serde_saphyr::from_str(&text).expect("an output file is whole at any time"))
}

pub fn answer(service: &str, instances: &[(&str, u32)]) -> Value {
    let instance = |(host, weight): &(&str, u32)| {
        json!({"id": format!("id-{host}"), "host": host, "port": 8080, "protocol": "http", "weight": weight, "healthy": true,
               "isolate": false, "metadata": {"version": "v1"}})
    };
    let revision: u32 = instances.iter().map(|(host, weight)| weight + host.len() as u32).sum();
    json!({"code": 200000, "info": "execute success", "type": "INSTANCE",
           "service": {"namespace": "default", "name": service, "revision": format!("r{revision}")},
           "instances": instances.iter().map(instance).collect::<Vec<_>>()})
}

pub fn entry(service: &str, annotations: Value) -> Value {
    let mut entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": service, "namespace": "polaris", "labels": {"manager": "aeraki", "registry": "polaris"},
            "annotations": {"aeraki.net/polarisNamespace": "default", "aeraki.net/polarisService": service}},
        "spec": {"hosts": [format!("dev.{service}.polaris")], "resolution": "STATIC",
            "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}]},
    });
    for (key, value) in annotations.as_object().unwrap() {
        entry["metadata"]["annotations"][key] = value.clone();
    }
    entry
}
