//! A registry that runs wild, before the controller itself: it says so, its memory stays far below what the shipped manifests
//! allow, and nothing is written.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::fake::{Asked, Fake, Reply};
use super::listed;

/// Debug builds take several times as long as what is shipped.
const SOON: Duration = Duration::from_secs(150);

/// As many as there are requests under way at once.
const SERVICES: usize = 32;

/// The manifests allow 512 MiB.
const MEMORY_KIB: usize = 300 << 10;

/// An answer that begins in good order, with instances or fields after it as they are given.
fn answer(name: &str, rest: &str) -> Reply {
    let service = format!(r#"{{"namespace":"shop","name":"{name}","revision":"r2"}}"#);
    Reply::Answer(200, String::new(), format!(r#"{{"code":200000,"type":"INSTANCE","service":{service},{rest}}}"#))
}

fn instances(count: usize, one: &str) -> String {
    format!(r#""instances":[{}]"#, vec![one; count].join(","))
}

fn metadata(pairs: usize) -> String {
    let pairs: Vec<String> = (0..pairs).map(|number| format!(r#""{number}":"""#)).collect();
    format!(r#"{{"metadata":{{{}}}}}"#, pairs.join(","))
}

/// The registry's answer, and the expected words about it.
fn wild(name: &str) -> (Reply, &'static str) {
    let number: usize = name[1..].parse().unwrap();
    match number % 7 {
        0 => (answer(name, &instances(1_300_000, "{}")), "more than 20000 instances"),
        1 => (answer(name, &instances(1, &metadata(500_000))), "more than 1024 pairs of metadata"),
        2 => (answer(name, &instances(300, &metadata(1_000))), "more than 200000 pairs of metadata"),
        3 => (answer(name, &format!(r#""instances":[{{"port":"{}"}}]"#, "x".repeat(4 << 20))), "instances[0].port"),
        4 => (answer(name, &format!(r#""unknown":{}"#, "[".repeat(4 << 20))), "expected value"),
        5 => (Reply::Chunked(100), "larger than 16777216 bytes"),
        _ => (answer(&"x".repeat(4 << 20), r#""instances":[]"#), "more than 1024 bytes in a service's"),
    }
}

/// The controller over directories, with a log. It is killed when dropped.
struct Controller {
    directory: TempDir,
    process: Child,
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Controller {
    fn start(registry: &Fake) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("entries")).unwrap();
        for name in names() {
            std::fs::write(path("entries").join(format!("{name}.yaml")), entry(&name)).unwrap();
        }
        let process = Command::new(env!("CARGO_BIN_EXE_polaris2istio"))
            .args(["--polaris-address", &format!("http://{}", registry.address), "--poll-interval", "200ms"])
            // Beyond some services that fail in the same way, more are named only here.
            .args(["--log", "info,polaris2istio::registry=debug"])
            .args(["--http-address", "none", "--polaris-timeout", "60s", "--empty-hold", "0s"])
            .arg("--entries")
            .arg(path("entries"))
            .arg("--output")
            .arg(path("output"))
            .stderr(std::fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        Self { directory, process }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// The most memory that it ever had.
    fn peak_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The entries that have the endpoint.
    fn served(&self) -> usize {
        let output = self.directory.path().join("output");
        names().filter(|name| has_endpoint(&output, name)).count()
    }

    async fn until(&self, what: &str, fits: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !fits(self) {
            let log = self.log();
            let from = log.lines().count().saturating_sub(20);
            let tail = || log.lines().skip(from).map(|line| format!("{line:.400}\n")).collect::<String>();
            assert!(start.elapsed() < SOON, "{what}: not in time: {}", tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn names() -> impl Iterator<Item = String> {
    (0..SERVICES).map(|number| format!("s{number}"))
}

fn entry(name: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: {name}\n  namespace: polaris\n  \
         labels: {{manager: aeraki, registry: polaris}}\n  annotations:\n    aeraki.net/polarisNamespace: shop\n    \
         aeraki.net/polarisService: {name}\nspec:\n  hosts: [{name}.shop]\n  resolution: STATIC\n"
    )
}

fn has_endpoint(output: &Path, name: &str) -> bool {
    let files = std::fs::read_dir(output).into_iter().flatten().flatten();
    let mut written = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    written.any(|text| text.contains(&format!("name: {name}\n")) && text.contains("10.0.0.1"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_bounded() {
    let sound = |asked: &Asked| Reply::polaris(listed(asked.name(), "r1", &[("a", "10.0.0.1")]));
    let registry = Fake::start(sound).await;
    let controller = Controller::start(&registry);
    controller.until("all are served", |controller| controller.served() == SERVICES).await;
    let idle = controller.peak_kib();

    let answers: std::collections::BTreeMap<String, Reply> =
        names().map(|name| (name.clone(), wild(&name).0)).collect();
    let asked = registry.asked().len();
    registry.rule(move |asked| answers[asked.name()].clone());
    for number in 0..7 {
        let words = wild(&format!("s{number}")).1;
        controller.until(words, |controller| controller.log().contains(words)).await;
    }
    controller.until("all are asked for", |_| registry.asked().len() >= asked + SERVICES).await;
    let (peak, log) = (controller.peak_kib(), controller.log());
    println!("{idle} KiB before, {peak} KiB at most");
    assert!(peak < MEMORY_KIB, "{peak} KiB; before: {idle} KiB");
    assert_eq!(controller.served(), SERVICES, "the last endpoints stay: {log}");
    assert!(log.len() < 64 << 10, "the log has {} bytes", log.len());
}
