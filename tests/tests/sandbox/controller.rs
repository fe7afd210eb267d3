//! Through the controller: a module that misbehaves on one entry costs that entry its update, and nothing else.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polaris2istio::controller::Settled;
use polaris2istio::converter::{Converter, Limits};
use polaris2istio::guard::EmptyHold;
use polaris2istio::registry::{AnyRegistry, DirectoryConfig, DirectoryRegistry};
use polaris2istio::run::{Config, Target, run};
use polaris2istio::watch_dir::WatchOptions;
use polaris2istio_tests::wait_for;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::calls::TIME;
use crate::guest;

const SOON: Duration = Duration::from_secs(20);

/// What is told in the log of the entry that the module misbehaves on.
const TROUBLES: [(&str, &str); 12] = [
    ("panic", "trapped"),
    ("loop", "ran longer than"),
    ("allocate", "bytes of memory"),
    ("recurse", "call stack exhausted"),
    ("long-output", "a result of more than"),
    ("not-text", "utf-8"),
    ("fail", "told to fail"),
    ("unchanged", "unchanged"),
    ("forbidden-address", "169.254.169.254"),
    ("weight-zero", "weight"),
    ("foreign-annotation", "aeraki.net/polarisService"),
    ("unknown-port", "nowhere"),
];

/// A controller over directories, with the misbehaving guest.
struct Controller {
    directory: TempDir,
    log: Log,
    stop: oneshot::Sender<()>,
    run: tokio::task::JoinHandle<Settled>,
}

/// What the controller logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// A subscriber is for the whole process, so no second test of this file may want one.
    fn install() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
        log
    }

    /// Lines since the last time that were said of an entry.
    fn of(&self, entry: &str) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(&format!("entry=\"{entry}\""))).collect::<Vec<_>>().join("\n")
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Controller {
    fn start() -> Self {
        let log = Log::install();
        let directory = tempfile::tempdir().unwrap();
        for part in ["entries", "answers", "output"] {
            std::fs::create_dir(directory.path().join(part)).unwrap();
        }
        for name in ["good", "bad"] {
            std::fs::write(directory.path().join(format!("entries/{name}.yaml")), entry(name)).unwrap();
            answer(directory.path(), name, None, "10.0.0.1");
        }
        let path = directory.path().join("answers");
        let source = guest::candidate(guest::misbehaving());
        let limits = Limits { time: TIME, ..Limits::default() };
        let registry = DirectoryRegistry::new(DirectoryConfig { path, options: WatchOptions::default() }).unwrap();
        let config = Config {
            registry: AnyRegistry::Directory(registry),
            target: Target::Directory {
                entries: directory.path().join("entries"),
                output: directory.path().join("output"),
            },
            namespace: "polaris".into(),
            converter: Converter::new(&source, limits, Vec::new()).unwrap(),
            module: None,
            addresses: Default::default(),
            empty_hold: EmptyHold::Never,
            write_rate: NonZeroU32::MAX,
            names: polaris2istio::names::Settings { mode: Default::default(), cluster_domain: "cluster.local".into() },
            repair_vip: false,
            once: false,
        };
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            run(config, stopped).await.unwrap()
        });
        Self { directory, log, stop, run }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("output/polaris.{name}.yaml"))
    }

    fn answer(&self, name: &str, behaviour: Option<&str>, host: &str) {
        answer(self.directory.path(), name, behaviour, host);
    }

    async fn wait_for_output(&self, name: &str, host: &str) {
        wait_for(&format!("{name} has {host}"), SOON, || async {
            let text = std::fs::read_to_string(self.output(name)).unwrap_or_default();
            if text.contains(host) {
                Ok(())
            } else {
                Err(format!("{text}\nlog: {}", self.log.of(&format!("polaris/{name}"))))
            }
        })
        .await;
    }

    async fn wait_for_log(&self, name: &str, part: &str) {
        wait_for(&format!("the log says `{part}` of {name}"), SOON, || async {
            let lines = self.log.of(&format!("polaris/{name}"));
            if lines.contains(part) { Ok(()) } else { Err(lines) }
        })
        .await;
    }
}

fn entry(name: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: {name}
  namespace: polaris
  labels: {{manager: aeraki, registry: polaris}}
  annotations: {{aeraki.net/polarisNamespace: prod, aeraki.net/polarisService: {name}}}
spec:
  hosts: [dev.{name}.polaris]
  resolution: STATIC
"
    )
}

/// Writes an answer as a careful tool does: whole, or not at all.
fn answer(directory: &Path, name: &str, behaviour: Option<&str>, host: &str) {
    let answer = json!({
        "code": 200_000,
        "service": {"namespace": "prod", "name": name, "revision": host, "metadata": behaviour.map(|value| json!({"behaviour": value}))},
        "instances": [{"id": "a", "host": host, "port": 8080}],
    });
    let unfinished = directory.join(format!("answers/.{name}"));
    std::fs::write(&unfinished, answer.to_string()).unwrap();
    std::fs::rename(unfinished, directory.join(format!("answers/{name}.json"))).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn misbehaviour_costs_one_entry() {
    let controller = Controller::start();
    controller.wait_for_output("good", "10.0.0.1").await;
    controller.wait_for_output("bad", "10.0.0.1").await;
    let before = std::fs::read_to_string(controller.output("bad")).unwrap();
    for (number, (behaviour, part)) in (2..).zip(TROUBLES) {
        controller.log.clear();
        controller.answer("bad", Some(behaviour), &format!("10.0.0.{number}"));
        controller.wait_for_log("bad", part).await;
        controller.answer("good", None, &format!("10.0.0.{number}"));
        controller.wait_for_output("good", &format!("10.0.0.{number}")).await;
        assert_eq!(std::fs::read_to_string(controller.output("bad")).unwrap(), before, "{behaviour}");
        assert!(!controller.log.of("polaris/bad").contains("entry written"), "{behaviour}");
    }
    controller.answer("bad", None, "10.0.1.1");
    controller.wait_for_output("bad", "10.0.1.1").await;
    controller.stop.send(()).unwrap();
    assert_eq!(controller.run.await.unwrap(), Settled::Done);
}
