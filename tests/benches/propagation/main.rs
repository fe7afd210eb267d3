//! How fast a registration reaches its ServiceEntry, and what the controller costs, against the real servers.
//!
//! `cargo build --release && cargo bench -p polaris2istio-tests --bench propagation` (about a quarter of an hour). It prints
//! figures and judges nothing: machines differ. `-- fill 1000 10000` runs the part with many services alone, with as many.
//!
//! `-- table 1 100 1000` prints one table of all ways of following, `ways=gRPC,doorbell` of some; with `other=PATH` another
//! controller that takes the original's flags stands in it too, in the same run on the same servers.
//!
//! With many services the registry is one in this process (`crowd`); the API server is a real one always.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark may fail loudly")]

mod crowd;
mod table;
mod view;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use kube::api::{Api, DynamicObject, PostParams};
use polaris2istio_tests::servers::{
    self, Admin, ApiServer, Directory, Instance, Polaris, PolarisOptions, Process, Program, User,
};
use polaris2istio_tests::{memory, wait_for};
use serde_json::json;

/// Registrations that are timed.
const ROUNDS: usize = 50;
/// Instances of a service before that.
const INSTANCES: u8 = 5;
/// Entries that are created at once.
const AT_ONCE: usize = 16;
/// How long an idle controller is watched.
const IDLE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    let binaries = servers::binaries().expect("the servers are built: tests/servers/build");
    println!("{}", machine());
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "table") {
        let sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
        let sizes = if sizes.is_empty() { vec![1, 100, 1_000] } else { sizes };
        return table::print(binaries, &sizes, &table::ways(&arguments)).await;
    }
    let services: &[usize] = if std::env::args().any(|argument| argument == "fill") { &[] } else { &[1, 200] };
    for &services in services {
        let (api, polaris) = start(binaries).await;
        let bench = Bench::new(&api, polaris.http_address(), services).await;
        bench.register(&polaris.admin()).await;
        let controller = bench.controller();
        bench.filled().await;
        let mut times = bench.propagation(&polaris.admin()).await;
        times.sort();
        println!(
            "{services} services: register acknowledged -> entry holds it: median {:.2} s, p99 {:.2} s, worst {:.2} s of {ROUNDS}; {}",
            times[ROUNDS / 2].as_secs_f64(),
            times[ROUNDS * 99 / 100].as_secs_f64(),
            times[ROUNDS - 1].as_secs_f64(),
            Cost::of(&controller)
        );
    }
    let sizes: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    for services in if sizes.is_empty() { vec![1000, 10_000] } else { sizes } {
        size(binaries, services).await;
    }
}

/// The cost of a controller of so many services: to fill them, to follow them, and to start again.
async fn size(binaries: &'static servers::Binaries, services: usize) {
    let api = ApiServer::start(binaries).await;
    let bench = Bench::new(&api, crowd::start(INSTANCES).await, services).await;
    let begun = Instant::now();
    let mut controller = bench.controller();
    bench.filled().await;
    let filled = begun.elapsed().as_secs_f64();
    println!(
        "{services} fresh entries of {INSTANCES} instances: all filled after {filled:.1} s; {}",
        Cost::of(&controller)
    );
    bench.idle(&controller).await;
    assert!(controller.terminate(Duration::from_secs(10)).await.success());
    let begun = Instant::now();
    let controller = bench.controller();
    bench.in_line().await;
    println!("started again: all in line after {:.1} s; {}", begun.elapsed().as_secs_f64(), Cost::of(&controller));
    bench.idle(&controller).await;
}

async fn start(binaries: &'static servers::Binaries) -> (ApiServer, Polaris) {
    tokio::join!(ApiServer::start(binaries), Polaris::start(binaries, PolarisOptions::default()))
}

/// Services with their entries, on servers of their own: Polaris reads every row ever written each second.
struct Bench<'a> {
    api: &'a ApiServer,
    registry: String,
    entries: Api<DynamicObject>,
    namespace: String,
    services: usize,
    directory: Directory,
    /// Where the controller serves its metrics.
    http: String,
}

impl<'a> Bench<'a> {
    async fn new(api: &'a ApiServer, registry: String, services: usize) -> Self {
        let namespace = api.create_namespace("bench").await;
        let entries = api.service_entries(&namespace).await;
        let fresh = &entries;
        let create = |service| async move {
            fresh.create(&PostParams::default(), &entry(service)).await.unwrap();
        };
        stream::iter(0..services).for_each_concurrent(AT_ONCE, create).await;
        let directory = Directory::new("bench");
        let http = format!("127.0.0.1:{}", servers::free_port());
        Self { api, registry, entries, namespace, services, directory, http }
    }

    async fn register(&self, admin: &Admin) {
        let hosts = |service| (1..=INSTANCES).map(move |host| instance(service, &format!("10.0.0.{host}")));
        let instances: Vec<_> = (0..self.services).flat_map(hosts).collect();
        for some in instances.chunks(20) {
            admin.register_all(some).await;
        }
    }

    fn controller(&self) -> Process {
        self.program().args(["--polaris-address", &self.registry]).start()
    }

    /// This controller, without a registry.
    fn program(&self) -> Program {
        Program::new(&binary(), self.directory.path())
            .args(["--namespace", &self.namespace, "--http-address", &self.http])
            .env("KUBECONFIG", self.api.kubeconfig(User::Admin))
    }

    async fn filled(&self) {
        wait_for("every entry has its endpoints", Duration::from_secs(300), || async {
            let list = self.entries.list(&Default::default()).await.map_err(|error| error.to_string())?;
            let filled = list.items.iter().filter(|entry| endpoints(entry).len() == usize::from(INSTANCES)).count();
            if filled == self.services { Ok(()) } else { Err(format!("{filled} of {}", self.services)) }
        })
        .await
    }

    /// Waits until a controller that has just started has looked at every entry, with its service's answer.
    async fn in_line(&self) {
        wait_for("every entry is in line", Duration::from_secs(300), || async {
            let done = self.metric("polaris2istio_entries{state=\"synced\"}").await?;
            if done == self.services as f64 { Ok(()) } else { Err(format!("{done} of {}", self.services)) }
        })
        .await
    }

    async fn polls(&self) -> f64 {
        self.metric("polaris2istio_polls_total").await.unwrap()
    }

    /// The sum of a metric's series whose names begin so.
    async fn metric(&self, prefix: &str) -> Result<f64, String> {
        let answer = reqwest::get(format!("http://{}/metrics", self.http)).await.map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        let series = text.lines().filter(|line| line.starts_with(prefix));
        Ok(series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }

    /// Prints what it costs that nothing happens.
    async fn idle(&self, controller: &Process) {
        let (before, polls) = (Cost::of(controller), self.polls().await);
        tokio::time::sleep(IDLE).await;
        let (after, again) = (Cost::of(controller), self.polls().await);
        let minutes = IDLE.as_secs_f64() / 60.0;
        println!(
            "idle: {:.2} CPU seconds a minute, {:.0} polls a second; {after}",
            (after.cpu - before.cpu) / minutes,
            (again - polls) / IDLE.as_secs_f64(),
        );
    }

    async fn propagation(&self, admin: &Admin) -> Vec<Duration> {
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            // Registrations must not march in step with the polls.
            tokio::time::sleep(Duration::from_millis((round as u64 * 389) % 2000)).await;
            let service = round % self.services;
            let host = format!("10.1.{round}.1");
            admin.register(&instance(service, &host)).await;
            let acknowledged = Instant::now();
            wait_for("the entry holds it", Duration::from_secs(30), || async {
                let entry = self.entries.get(&name(service)).await.map_err(|error| error.to_string())?;
                if endpoints(&entry).contains(&host) { Ok(()) } else { Err("not yet".to_owned()) }
            })
            .await;
            times.push(acknowledged.elapsed());
        }
        times
    }
}

fn name(service: usize) -> String {
    format!("service-{service}")
}

fn instance(service: usize, host: &str) -> Instance {
    Instance::new("bench", &name(service), host, 8080).protocol("http").weight(100)
}

fn entry(service: usize) -> DynamicObject {
    let name = name(service);
    serde_json::from_value(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": name, "labels": {"manager": "aeraki", "registry": "polaris"},
            "annotations": {"aeraki.net/polarisNamespace": "bench", "aeraki.net/polarisService": name, "aeraki.net/external": "false"}},
        "spec": {"hosts": [format!("dev.{name}.polaris")], "resolution": "STATIC", "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}]},
    }))
    .unwrap()
}

fn endpoints(entry: &DynamicObject) -> Vec<String> {
    let list = entry.data["spec"]["endpoints"].as_array().cloned().unwrap_or_default();
    list.iter().map(|endpoint| endpoint["address"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The release build, beside the profile that the benchmark itself is built in.
fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().find(|path| path.ends_with("release")).expect("benchmarks are built in release");
    let binary = target.join("polaris2istio");
    assert!(binary.exists(), "{} is missing; run: cargo build --release", binary.display());
    binary
}

/// The resources that a process used so far.
struct Cost {
    /// Seconds of CPU.
    cpu: f64,
    /// Its resident size, in MiB.
    now: f64,
    /// The largest that it ever was.
    peak: f64,
}

impl Cost {
    fn of(process: &Process) -> Self {
        Self::of_id(process.id())
    }

    fn of_id(process: u32) -> Self {
        let directory = PathBuf::from(format!("/proc/{process}"));
        let read = |name: &str| std::fs::read_to_string(directory.join(Path::new(name))).unwrap();
        let (stat, memory) = (read("stat"), memory(process).unwrap());
        // Fields 14 and 15 of proc(5), counted after the name, which may hold spaces; in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        let mebibytes = |size: u64| size as f64 / 1024.0;
        Self { cpu: ticks / 100.0, now: mebibytes(memory.resident), peak: mebibytes(memory.peak) }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "controller: {:.1} CPU seconds so far, {:.0} MiB at most", self.cpu, self.peak)
    }
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores,{}", model.trim_start_matches(['\t', ' ', ':']))
}
