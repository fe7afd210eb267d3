//! Many conversions over many changes of modules: none fails, none is lost, and each is wholly one module's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use polaris2istio::converter::{Limits, LoadedModule};
use polaris2istio::digest::Digest;
use polaris2istio::rollout::{ActiveModules, LastPublished, compile};
use polaris2istio::source::ModuleBytes;
use polaris2istio_core::model::{Entry, Instance, Location, MeshLocation, Resolution, Service, Verdict};
use polaris2istio_tests::{guest, memory};

const CALLERS: usize = 4;
const TAG: &str = "polaris2istio.aeraki.net/tag";

/// The measurements of a storm.
#[derive(Debug, Default)]
pub(crate) struct Storm {
    pub(crate) conversions: usize,
    pub(crate) failed: usize,
    /// Outcomes that are of another module than they say.
    pub(crate) mixed: usize,
    /// The longest time that one took, while nothing was compiled and while something was.
    pub(crate) longest: (Duration, Duration),
    /// The times of the changes themselves, without the compilation before them.
    pub(crate) switches: Vec<Duration>,
    /// Resident memory after a third of the changes and at the end, in KiB.
    pub(crate) resident: (u64, u64),
}

/// Converts without a pause while the module is changed so many times. Before one change of so many a module is compiled that is as
/// large as modules usually are.
pub(crate) async fn storm(changes: usize, one_large_of: usize) -> Storm {
    let bytes = |number: usize| ModuleBytes::new(guest::variant(&format!("tag-{number}")), "storm".into());
    let first = LoadedModule::new(&bytes(0), Limits::default(), Vec::new()).unwrap();
    let live = Arc::new(ActiveModules::new(Arc::new(first), 3));
    let digests: Arc<Vec<Digest>> = Arc::new((0..=changes).map(|number| bytes(number).digest).collect());
    let (over, compiling) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let done = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let caller = Caller {
                live: Arc::clone(&live),
                digests: Arc::clone(&digests),
                over: Arc::clone(&over),
                compiling: Arc::clone(&compiling),
                done: Arc::clone(&done),
            };
            tokio::spawn(caller.run())
        })
        .collect();
    let mut storm = Storm::default();
    for number in 1..=changes {
        compiling.store(true, Ordering::Release);
        let (active, next) = (live.active(), bytes(number));
        if number % one_large_of == 0 {
            drop(compile(&active, ModuleBytes::embedded(), Vec::new()).await.unwrap());
        }
        let next = compile(&active, next, Vec::new()).await.unwrap();
        compiling.store(false, Ordering::Release);
        let begun = Instant::now();
        live.switch(next, Duration::from_secs(60));
        storm.switches.push(begun.elapsed());
        // Some conversions on each.
        let least = done.load(Ordering::Acquire) + 4 * CALLERS;
        while done.load(Ordering::Acquire) < least {
            tokio::task::yield_now().await;
        }
        if number == changes / 3 {
            storm.resident.0 = resident();
        }
    }
    storm.resident.1 = resident();
    over.store(true, Ordering::Release);
    for caller in callers {
        let part = caller.await.unwrap();
        storm.conversions += part.conversions;
        storm.failed += part.failed;
        storm.mixed += part.mixed;
        storm.longest.0 = storm.longest.0.max(part.longest.0);
        storm.longest.1 = storm.longest.1.max(part.longest.1);
    }
    assert_eq!(done.load(Ordering::Acquire), storm.conversions, "none is lost");
    storm
}

struct Caller {
    live: Arc<ActiveModules>,
    digests: Arc<Vec<Digest>>,
    over: Arc<AtomicBool>,
    compiling: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

impl Caller {
    async fn run(self) -> Storm {
        let (service, mut storm, mut memory) = (Arc::new(service()), Storm::default(), LastPublished::default());
        while !self.over.load(Ordering::Acquire) {
            let compiling = self.compiling.load(Ordering::Acquire);
            let begun = Instant::now();
            let given = self.live.convert(&service, entry(), memory.clone(), |_| true).await;
            let took = begun.elapsed();
            let longest = if compiling { &mut storm.longest.1 } else { &mut storm.longest.0 };
            *longest = took.max(*longest);
            storm.conversions += 1;
            self.done.fetch_add(1, Ordering::AcqRel);
            let Ok(given) = given else {
                storm.failed += 1;
                continue;
            };
            let Verdict::Update(update) = given.outcome.verdict else {
                storm.failed += 1;
                continue;
            };
            let tag = update.annotations.iter().find(|(key, _)| key == TAG).map(|(_, tag)| tag.parse().unwrap());
            let number: usize = tag.unwrap();
            storm.mixed += usize::from(self.digests[number] != given.by.module || update.endpoints.len() != 10);
            memory = LastPublished { by: Some(given.by), revision: None };
        }
        storm
    }
}

fn service() -> Service {
    let instance = |number: usize| Instance {
        id: number.to_string(),
        host: format!("10.0.0.{number}"),
        port: 8080,
        protocol: "http".into(),
        version: String::new(),
        weight: 100,
        priority: 0,
        healthy: true,
        isolated: false,
        location: Location { region: String::new(), zone: String::new(), campus: String::new() },
        metadata: vec![],
    };
    Service {
        namespace: "prod".into(),
        name: "cart".into(),
        revision: "1".into(),
        metadata: vec![],
        instances: (1..=10).map(instance).collect(),
    }
}

fn entry() -> Entry {
    Entry {
        namespace: "polaris".into(),
        name: "cart".into(),
        labels: vec![],
        annotations: vec![],
        hosts: vec!["dev.cart.polaris".into()],
        addresses: vec![],
        location: Some(MeshLocation::MeshInternal),
        resolution: Some(Resolution::Static),
        export_to: vec![],
        has_workload_selector: false,
        ports: vec![],
    }
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    memory(std::process::id()).map_or(0, |memory| memory.resident)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_conversion_fails_or_is_lost_or_mixed() {
    let storm = storm(8, 8).await;
    assert_eq!((storm.failed, storm.mixed), (0, 0), "{storm:?}");
    assert!(storm.conversions >= 8 * 4 * CALLERS, "{storm:?}");
}
