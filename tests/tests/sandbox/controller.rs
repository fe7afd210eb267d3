//! Through the controller: a module that misbehaves on one entry costs that entry its update, and nothing else.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polaris2istio::controller::SyncStatus;
use polaris2istio::converter::Limits;
use polaris2istio_tests::wait_for;

use crate::calls::TIME;
use crate::guest;
use crate::world::{Running, World};

const SOON: Duration = Duration::from_secs(20);

/// The words in the log about the entry that the module misbehaves on.
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

/// A controller with the misbehaving guest, and its log.
struct Controller {
    world: World,
    log: Log,
    running: Running,
}

/// The controller's log.
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
        let world = World::new();
        for name in ["good", "bad"] {
            world.entry(name);
            world.answer(name, None, &["10.0.0.1"]);
        }
        std::fs::copy(guest::misbehaving(), world.module()).unwrap();
        let limits = Limits { time: TIME, ..Limits::default() };
        let running = world.start(|config| config.modules.limits = limits);
        Self { world, log, running }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.world.output(name)
    }

    fn answer(&self, name: &str, behaviour: Option<&str>, host: &str) {
        self.world.answer(name, behaviour, &[host]);
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
    assert_eq!(controller.running.stop().await, SyncStatus::Synced);
}
