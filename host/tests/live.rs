//! The commands to a running controller, as the documents have them: each is run against one that has a candidate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "support/docs.rs"]
#[allow(dead_code, reason = "shared with the test of all documents")]
mod docs;

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use polaris2istio::digest::Digest;
use polaris2istio::source::ModuleBytes;
use serde_json::Value;
use tempfile::TempDir;

use docs::{Document, root};

const SOON: Duration = Duration::from_secs(120);

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
        let bytes = other();
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

    /// Waits until a command that succeeds says this.
    fn until_said(&self, arguments: &str, words: &str) {
        let start = Instant::now();
        loop {
            let output = self.run(arguments);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() && text.contains(words) {
                return;
            }
            assert!(start.elapsed() < SOON, "{arguments}: {text}{}", String::from_utf8_lossy(&output.stderr));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn other() -> Vec<u8> {
    let mut bytes = ModuleBytes::embedded().bytes.to_vec();
    bytes.extend([0, 2, 1, b'x']);
    bytes
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
    let (first, second) = (ModuleBytes::embedded().digest.to_string(), Digest::of(&other()).to_string());
    let short = |digest: &str| digest["sha256:".len()..][..12].to_owned();
    let name = |command: &&str| match command {
        _ if command.contains("module promote") => command.replace("3f2a9c11d0aa", &short(&second)),
        command => command.replace("3f2a9c11d0aa", &short(&first)),
    };
    let said: Vec<_> = commands
        .iter()
        .map(|command| live.text(name(command).strip_prefix("polaris2istio ").expect("a command of ours")))
        .collect();
    let take = format!("take it: polaris2istio module promote {}", short(&second));
    let expected = [
        (
            "module status",
            &["active", "candidate", "waits: --swap review asks a person every time", &take, "drop it: polaris2istio"]
                [..],
        ),
        ("module diff", &[" 0 changed, 0 newly rejected, 0 failed", &take]),
        ("module promote 3f2a9c11d0aa", &["active       sha256:"]),
        ("module rollback 3f2a9c11d0aa", &["active       sha256:", "refused      sha256:"]),
        ("module history", &["installed", "waits", "switched", "rolled-back", "by command of user "]),
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
    assert_eq!(live.run("module promote").status.code(), Some(2), "it must be named");
    let short = live.run("module promote 3f2a9");
    assert!(String::from_utf8_lossy(&short.stderr).contains("at least 6 hexadecimal digits"), "{short:?}");
    let output = live.run("module promote 3f2a9c");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("there is no candidate"), "{text}");
}

/// Questions of an operator to a running controller, with the words that the answer must have.
#[test]
fn questions_are_answered() {
    let live = ActiveModules::start();
    live.until_said("history polaris/reviews", "write");
    let check = |arguments: &str, parts: &[&str]| {
        let said = live.text(arguments);
        for part in parts {
            assert!(said.contains(part), "{arguments} says `{part}`: {said}");
        }
        said
    };
    check(
        "history",
        &["leader", "this process writes", "polaris/reviews", "the registry's answer for default/reviews"],
    );
    let history: Value = serde_json::from_str(&live.text("history polaris/reviews -o json")).unwrap();
    assert_eq!((&history[0]["kind"], &history[0]["entry"]), (&"write".into(), &"polaris/reviews".into()), "{history}");
    let said = check(
        "explain polaris/reviews",
        &["polaris/reviews: synced", "registry", "becomes", "left out", "The last changes:"],
    );
    assert!(!said.contains("which is not published now"), "{said}");
    let explained: Value = serde_json::from_str(&live.text("explain polaris/reviews -o json")).unwrap();
    assert_eq!(explained["explanation"]["instances"][0]["published"], true, "{explained}");
    check("status polaris/orders", &["polaris/orders"]);
    assert!(!live.text("status polaris/orders").contains("polaris/reviews"));
    assert!(live.text("status -o wide").contains("REVISION"));
    assert_eq!(live.text("status -l registry=nacos -o name"), "");
    check("status -l registry=polaris -o name", &["serviceentry.networking.istio.io/orders\n"]);
    for (arguments, remedy) in [
        ("status polaris/order", "did you mean polaris/orders?"),
        ("explain polaris/review", "did you mean polaris/reviews?"),
        ("history polaris/review", "did you mean polaris/reviews?"),
        ("answer default/review", "did you mean default/reviews?"),
    ] {
        let output = live.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && text.contains(remedy), "{arguments}: {text}");
    }
    assert_eq!(live.run("explain").status.code(), Some(2), "neither an entry nor files");
}

/// An answer goes into `explain` offline, which says the same of it as the controller.
#[test]
fn a_recorded_answer_explains_the_same() {
    let live = ActiveModules::start();
    live.until_said("history polaris/reviews", "write");
    let answer = live.directory.path().join("answer.json");
    std::fs::write(&answer, live.text("answer default/reviews")).unwrap();
    let entry = root().join("deploy/example/entries/reviews.yaml");
    let offline = live.text(&format!("explain --entry {} --answer {}", entry.display(), answer.display()));
    let asked = live.text("explain polaris/reviews");
    let fates =
        |text: &str| text.lines().filter(|line| line.starts_with("    ")).map(str::to_owned).collect::<Vec<_>>();
    assert!(!fates(&offline).is_empty());
    let (_, said) = asked.split_once("What the module says now:\n").unwrap();
    assert_eq!(fates(said.split("\nThe last changes").next().unwrap()), fates(&offline));
}
