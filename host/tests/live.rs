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
        std::fs::write(directory.path().join("module.wasm"), ModuleBytes::embedded().bytes).unwrap();
        let process = Self::spawn(&directory);
        let live = Self { directory, process };
        live.until(|status| status["active"].is_object());
        live
    }

    fn spawn(directory: &TempDir) -> Child {
        let example = root().join("deploy/example");
        let path = |name: &str| directory.path().join(name);
        Command::new(env!("CARGO_BIN_EXE_polaris2istio"))
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
            .unwrap()
    }

    /// Ends the process at once, as the kernel does where memory is short.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Begins a process, and kills it while it loads the module in use.
    fn die_loading(&mut self) {
        let before = self.loading();
        self.process = Self::spawn(&self.directory);
        let start = Instant::now();
        while self.loading() == before || self.loading().is_null() {
            assert!(start.elapsed() < SOON, "no module is being loaded");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.kill();
        assert!(self.loading().is_array(), "it was killed before it was done");
    }

    /// The modules that are being loaded, as the state that outlives processes has it.
    fn loading(&self) -> Value {
        let text = std::fs::read(self.directory.path().join("state.json")).unwrap();
        let state: Value = serde_json::from_slice(&text).unwrap_or_default();
        state["module"]["loading"].clone()
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

/// A process that is killed while it loads the module in use, as by its want of memory, is followed by one that tries once more. The
/// third one leaves it for the module before, says so, and does not try it again; nor does any later one.
#[test]
fn a_module_that_processes_die_of_is_left() {
    let mut live = ActiveModules::start();
    live.offer();
    let (first, second) = (ModuleBytes::embedded().digest.to_string(), Digest::of(&other()).to_string());
    live.text(&format!("module promote {}", &second["sha256:".len()..][..12]));
    live.until(|status| status["active"]["module"] == *second && status["loading"].is_null());
    live.kill();
    live.die_loading();
    assert_eq!(live.loading()[0]["ended"], 0);
    live.die_loading();
    assert_eq!(live.loading()[0]["ended"], 1, "it was tried once more");
    for _ in 0..2 {
        live.process = ActiveModules::spawn(&live.directory);
        live.until(|status| {
            let trouble = status["sourceTrouble"]["reason"].as_str().unwrap_or_default();
            status["active"]["module"] == *first && trouble.contains("is not tried again by itself")
        });
        let status = live.text("module status");
        assert!(status.contains("refused") && status.contains("processes ended while they loaded it"), "{status}");
        assert!(live.text("module history").contains("rolled-back"));
        assert!(live.loading().is_null());
        let entries: Value = serde_json::from_str(&live.text("status -o json")).unwrap();
        assert_eq!(entries["writesBlocked"], serde_json::json!([]), "{entries}");
        live.kill();
    }
    live.process = ActiveModules::spawn(&live.directory);
    live.until(|status| status["active"]["module"] == *first);
    live.until(|status| status["sourceTrouble"].is_object());
    live.text(&format!("module promote {}", &second["sha256:".len()..][..12]));
    live.until(|status| status["active"]["module"] == *second && status["refused"] == serde_json::json!([]));
}

/// An entry becomes a case, which the module in use passes, and which goes from one machine to another as text.
#[test]
fn an_entry_is_captured_as_a_case() {
    let live = ActiveModules::start();
    // The write has come back.
    live.until_said("module capture polaris/reviews", "f:aeraki.net/revision");
    let path = |name: &str| live.directory.path().join(name).display().to_string();
    let said = live.text(&format!("module capture polaris/reviews {}", path("cases/reviews")));
    assert!(said.contains("outcome.json is what the module in use says"), "{said}");
    let passed = live.text(&format!("module test embedded {}", path("cases")));
    assert!(passed.contains("case reviews ... ok") && passed.contains("1 passed, 0 failed"), "{passed}");
    std::fs::write(path("captured.json"), live.text("module capture polaris/reviews")).unwrap();
    live.text(&format!("module capture polaris/reviews {} --from {}", path("again"), path("captured.json")));
    for name in ["entry.yaml", "answer.json", "outcome.json"] {
        let read = |case: &str| std::fs::read_to_string(path(&format!("{case}/{name}"))).unwrap();
        assert_eq!(read("again"), read("cases/reviews"), "{name}");
    }
    let entry = std::fs::read_to_string(path("again/entry.yaml")).unwrap();
    assert!(entry.contains("manager: polaris2istio"), "it says who declared what: {entry}");
    for (arguments, remedy) in [
        (format!("module capture polaris/review {}", path("other")), "did you mean polaris/reviews?"),
        (format!("module capture polaris/reviews {}", path("again")), "is not empty"),
        (
            format!("module capture polaris/orders {} --from {}", path("x"), path("captured.json")),
            "is of polaris/reviews",
        ),
        (format!("module capture polaris/reviews {} --from {}", path("x"), path("again/answer.json")), "is not what"),
    ] {
        let output = live.run(&arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && text.contains(remedy), "{arguments}: {text}");
    }
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
