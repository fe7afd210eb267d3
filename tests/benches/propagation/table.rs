//! The table: each way of following, and another controller if its command is given, in one run on servers that are started
//! afresh for each row. A row has its number of samples.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use polaris2istio_tests::servers::{Admin, Binaries, Polaris, Process, Program, User};

use crate::view::View;
use crate::{AT_ONCE, Bench, Cost, INSTANCES, instance, name, start};

/// Registrations, and as many deregistrations, that are timed.
const SAMPLES: usize = 40;

/// Services that change at once.
const STORM: usize = 500;

/// How long idleness is measured.
const IDLE: Duration = Duration::from_secs(30);

/// The flags for one way, at a server.
type Flags = fn(&Polaris) -> Vec<String>;

/// Who follows, and how.
pub(crate) enum Way {
    /// This controller, with these flags beside the address.
    This(&'static str, Flags),
    /// Another one, with the original's flags.
    Other(PathBuf),
}

pub(crate) fn ways(arguments: &[String]) -> Vec<Way> {
    let http = |polaris: &Polaris| vec![format!("--polaris-address=http://{}", polaris.http_address())];
    let seldom = |polaris: &Polaris| {
        vec![format!("--polaris-address=http://{}", polaris.http_address()), "--poll-interval=2s".into()]
    };
    let grpc = |polaris: &Polaris| vec![format!("--polaris-address=grpc://{}", polaris.grpc_address())];
    let doorbell = |polaris: &Polaris| {
        vec![
            format!("--polaris-address=grpc://{}", polaris.grpc_address()),
            "--doorbell=console".into(),
            format!("--doorbell-address=http://{}", polaris.http_address()),
        ]
    };
    let all: [(&'static str, Flags); 4] =
        [("HTTP, 2 s", seldom), ("HTTP", http), ("gRPC", grpc), ("doorbell", doorbell)];
    let wanted = arguments.iter().find_map(|argument| argument.strip_prefix("ways="));
    let chosen = |name: &str| wanted.is_none_or(|wanted| wanted.split(',').any(|way| way == name));
    let mut ways: Vec<_> =
        all.into_iter().filter(|(name, _)| chosen(name)).map(|(name, flags)| Way::This(name, flags)).collect();
    ways.extend(
        arguments.iter().find_map(|argument| argument.strip_prefix("other=")).map(|path| Way::Other(path.into())),
    );
    ways
}

impl Way {
    fn name(&self) -> String {
        match self {
            Self::This(name, _) => (*name).to_owned(),
            Self::Other(path) => path.display().to_string(),
        }
    }

    fn start(&self, bench: &Bench<'_>, polaris: &Polaris) -> Process {
        match self {
            Self::This(_, flags) => bench.program().args(flags(polaris)).start(),
            Self::Other(path) => Program::new(path, bench.directory.path())
                .args(["-polarisAddress", &polaris.grpc_address(), "-configRootNS", &bench.namespace])
                .arg("-kubeconfig")
                .arg(bench.api.kubeconfig(User::Admin))
                .start(),
        }
    }
}

/// Prints the table for these numbers of services.
pub(crate) async fn print(binaries: &'static Binaries, sizes: &[usize], ways: &[Way]) {
    println!(
        "| services | way | filled s | register median, p99 s | deregister median, p99 s | samples | idle CPU s/min | MiB now, at most \
         | Polaris CPU s/min beyond its own | storm of {STORM}: s, changes |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    for services in sizes {
        for way in ways {
            row(binaries, *services, way).await;
        }
    }
}

async fn row(binaries: &'static Binaries, services: usize, way: &Way) {
    let (api, polaris) = start(binaries).await;
    let bench = Bench::new(&api, String::new(), services).await;
    let admin = polaris.admin();
    bench.register(&admin).await;
    let alone = cpu_a_minute(polaris.id().unwrap()).await;
    let view = View::of(bench.entries.clone()).await;
    let begun = Instant::now();
    let controller = way.start(&bench, &polaris);
    let filled = view
        .until_all(|entries| {
            entries.len() == services && entries.values().all(|addresses| addresses.len() == usize::from(INSTANCES))
        })
        .await
        .duration_since(begun);
    // What it does after a start is over.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = Cost::of(&controller).cpu;
    let polaris_idle = cpu_over(polaris.id().unwrap(), IDLE).await - alone;
    let idle = (Cost::of(&controller).cpu - before) * 60.0 / IDLE.as_secs_f64();
    let (came, went) = samples(&bench, &admin, &view).await;
    let storm = if services >= STORM { storm(&admin, &view).await } else { "-".to_owned() };
    let memory = Cost::of(&controller);
    println!(
        "| {services} | {} | {:.1} | {} | {} | {SAMPLES} | {idle:.2} | {:.0}, {:.0} | {polaris_idle:.1} | {storm} |",
        way.name(),
        filled.as_secs_f64(),
        quantiles(came),
        quantiles(went),
        memory.now,
        memory.peak,
    );
}

/// How long registrations and deregistrations take, each of another service.
async fn samples(bench: &Bench<'_>, admin: &Admin, view: &View) -> (Vec<Duration>, Vec<Duration>) {
    let (mut came, mut went) = (Vec::new(), Vec::new());
    for round in 0..SAMPLES {
        // They must not march in step with the polls.
        tokio::time::sleep(Duration::from_millis((round as u64 * 389) % 1_300)).await;
        let (service, host) = (round * 7 % bench.services, format!("10.1.{round}.1"));
        let one = instance(service, &host);
        admin.register(&one).await;
        let acknowledged = Instant::now();
        came.push(view.until(&name(service), |addresses| addresses.contains(&host)).await - acknowledged);
        tokio::time::sleep(Duration::from_millis((round as u64 * 251) % 1_100)).await;
        admin.deregister(&one).await;
        let acknowledged = Instant::now();
        went.push(view.until(&name(service), |addresses| !addresses.contains(&host)).await - acknowledged);
    }
    (came, went)
}

/// Many services change within a second: how long until all entries hold it, and how many changes of entries that took.
async fn storm(admin: &Admin, view: &View) -> String {
    let before = view.changes();
    let begun = Instant::now();
    let changes: Vec<_> = (0..STORM).map(|service| instance(service, "10.2.0.1")).collect();
    stream::iter(changes.chunks(100)).for_each_concurrent(AT_ONCE, |some| admin.register_all(some)).await;
    let all = |entries: &std::collections::HashMap<String, std::collections::BTreeSet<String>>| {
        (0..STORM).all(|service| entries.get(&name(service)).is_some_and(|addresses| addresses.contains("10.2.0.1")))
    };
    let took = view.until_all(all).await - begun;
    format!("{:.1}, {}", took.as_secs_f64(), view.changes() - before)
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_secs_f64();
    format!("{:.2}, {:.2}", at(50), at(99))
}

/// What a process spends in a minute when nobody asks it.
async fn cpu_a_minute(process: u32) -> f64 {
    cpu_over(process, IDLE / 3).await
}

async fn cpu_over(process: u32, time: Duration) -> f64 {
    let before = Cost::of_id(process).cpu;
    tokio::time::sleep(time).await;
    (Cost::of_id(process).cpu - before) * 60.0 / time.as_secs_f64()
}
