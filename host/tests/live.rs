//! The commands to a running controller, as the documents have them: each is run against one that has a candidate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "support/docs.rs"]
#[allow(dead_code, reason = "shared with the test of all documents")]
mod docs;

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use polaris2istio::source::ModuleBytes;
use serde_json::Value;
use tempfile::TempDir;

use docs::{Document, root};

const SOON: Duration = Duration::from_secs(30);

/// A controller over the example's directories, whose module comes from a file and is changed by the operator alone.
struct ActiveModules {
    directory: TempDir,
    process: Child,
}

impl ActiveModules {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let example = root().join("deploy/example");
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("module.wasm"), ModuleBytes::embedded().bytes).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_polaris2istio"))
            .arg("--answers")
            .arg(example.join("answers"))
            .arg("--entries")
            .arg(example.join("entries"))
            .arg("--output")
            .arg(path("output"))
            .arg("--module")
            .arg(path("module.wasm"))
            .arg("--socket")
            .arg(path("socket"))
            .arg("--state")
            .arg(format!("file:{}", path("state.json").display()))
            .args(["--swap", "review"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let live = Self { directory, process };
        live.until(|status| status["active"].is_object());
        live
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_polaris2istio"));
        let socket = self.directory.path().join("socket");
        command.args(arguments.split_whitespace()).env("POLARIS2ISTIO_SOCKET", socket).output().unwrap()
    }

    fn text(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments}: {out}{err}");
        out.into_owned()
    }

    /// Another module: the same rules with a name beside them, which makes other bytes.
    fn offer(&self) {
        let mut bytes = ModuleBytes::embedded().bytes.to_vec();
        bytes.extend([0, 2, 1, b'x']);
        let unfinished = self.directory.path().join(".module.wasm");
        std::fs::write(&unfinished, bytes).unwrap();
        std::fs::rename(unfinished, self.directory.path().join("module.wasm")).unwrap();
        self.until(|status| status["candidate"].is_object());
    }

    fn until(&self, fits: impl Fn(&Value) -> bool) {
        let start = Instant::now();
        loop {
            let output = self.run("module status -o json");
            let status = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if fits(&status) {
                return;
            }
            assert!(start.elapsed() < SOON, "{status} {}", String::from_utf8_lossy(&output.stderr));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for ActiveModules {
    fn drop(&mut self) {
        // It may be gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_documents_commands() {
    let document = Document::with("live commands");
    let (_, rest) = document.text.split_once("<!-- live -->\n```sh\n").expect("the document has the commands");
    let lines = rest.split("```").next().unwrap().lines();
    let commands: Vec<_> = lines.map(|line| line.split('#').next().unwrap().trim()).collect();
    let live = ActiveModules::start();
    live.offer();
    let said: Vec<_> = commands
        .iter()
        .map(|command| live.text(command.strip_prefix("polaris2istio ").expect("a command of ours")))
        .collect();
    let expected = [
        ("module status", &["active", "candidate", "waits: --swap review asks a person every time"][..]),
        ("module diff", &[" 0 changed, 0 newly rejected, 0 failed"]),
        ("module promote", &["active       sha256:"]),
        ("module rollback", &["active       sha256:", "refused      sha256:"]),
        ("module history", &["installed", "waits", "switched", "rolled-back", "by command"]),
        ("module release --all", &["released what 0 entries held"]),
    ];
    for ((command, said), (prefix, parts)) in commands.iter().zip(&said).zip(expected) {
        assert!(command.ends_with(prefix), "{command}");
        for part in parts {
            assert!(said.contains(part), "{command} says `{part}`: {said}");
        }
    }
    assert_eq!(commands.len(), expected.len());
}

#[test]
fn without_a_controller_there_is_a_remedy() {
    let output = Command::new(env!("CARGO_BIN_EXE_polaris2istio"))
        .args(["module", "status", "--socket", "/nonexistent/socket"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("/nonexistent/socket") && text.contains("kubectl exec"), "{text}");
}

#[test]
fn a_refused_command_exits_with_one() {
    let live = ActiveModules::start();
    let output = live.run("module promote");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("there is no candidate"), "{text}");
}
