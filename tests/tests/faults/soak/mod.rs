//! The soak: many services that roll all the time, two replicas, and a fault every twenty seconds. Nothing that stays may be
//! missing at any look, no alarm may be raised without a reason, all must be right soon after the end, and memory stays flat.

mod churn;
mod memory;
mod plague;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use polaris2istio_tests::servers::{ApiServer, Binaries, Instance, Polaris, PolarisOptions};
use polaris2istio_tests::try_for;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::controller::{Controller, Start};
use super::entry::addresses;
use super::gate::Gate;
use super::known::Known;
use super::sampler::Sampler;
use super::stage::before_api;
use super::truth;
use super::world::World;
use churn::Churn;
use memory::Memory;
use plague::Plague;

const SERVICES: usize = 200;
const INSTANCES: usize = 10;
/// Between two faults.
const EVERY: Duration = Duration::from_secs(20);
/// How soon all is right after the end.
const RIGHT_WITHIN: Duration = Duration::from_secs(60);
/// How long the first endpoints may take.
const FILLED_WITHIN: Duration = Duration::from_secs(300);

/// All that takes part.
pub(super) struct Soak {
    pub(super) polaris: Polaris,
    pub(super) world: World,
    /// Before Polaris, and before the API server.
    pub(super) registry: Gate,
    pub(super) kube: Gate,
    pub(super) replicas: Vec<Controller>,
    pub(super) churn: Churn,
}

/// Runs for so long. Returns whether every promise was kept.
pub(crate) async fn run(binaries: &'static Binaries, time: Duration) -> bool {
    let (api, polaris) = tokio::join!(ApiServer::start(binaries), Polaris::start(binaries, PolarisOptions::default()));
    let known = Arc::<Mutex<Known>>::default();
    let mut soak = set(&api, polaris, &known).await;
    let filled = Instant::now();
    try_for(FILLED_WITHIN, || soak.differing(SERVICES)).await.expect("all entries are filled");
    println!("{SERVICES} services of {INSTANCES} are there after {:.0} s", filled.elapsed().as_secs_f64());
    let sampler = Sampler::start(soak.world.entries.clone(), Arc::clone(&known)).await;
    let end = Instant::now() + time;
    let (mut plague, mut memory, mut next) = (Plague::default(), Memory::default(), Instant::now());
    while next < end {
        next += EVERY;
        let name = plague.strike(&mut soak).await;
        soak.churn.run_until(next, &soak.world).await;
        memory.note(&soak.replicas);
        println!("{name:34} {} changes, {} endpoints lost so far, {memory}", soak.churn.changes(), sampler.seen().lost);
    }
    sleep_until(next.min(end)).await;
    let over = Instant::now();
    let right = try_for(RIGHT_WITHIN, || soak.differing(SERVICES)).await.map(|()| over.elapsed());
    let seen = sampler.seen();
    let alarms: usize =
        soak.replicas.iter().map(|replica| replica.said(&["lost half of their endpoints or more"])).sum();
    let panics: usize = soak.replicas.iter().map(|replica| replica.said(&["panicked"])).sum();
    println!(
        "{} looks, {} endpoints lost, {} wrong, {alarms} alarms of {} that have a reason, {panics} panics, {} changes, right after {right:?}, {memory}",
        seen.looks,
        seen.lost,
        seen.wrong.len(),
        plague.reasons(),
        soak.churn.changes(),
    );
    seen.wrong.iter().take(5).for_each(|wrong| println!("    wrong: {wrong}"));
    let kept = seen.looks > 0 && seen.lost == 0 && seen.wrong.is_empty() && panics == 0;
    // One at the most for each: two services may not have been asked meanwhile.
    kept && alarms <= plague.reasons() && right.is_ok() && memory.is_flat(time)
}

async fn set(api: &ApiServer, polaris: Polaris, known: &Arc<Mutex<Known>>) -> Soak {
    let world = World::new(api, &polaris, "soak").await;
    let churn = Churn::new(Arc::clone(known));
    world.admin.register_all(&churn.all(&world)).await;
    for service in 0..SERVICES {
        world.create(&world.entry(&name(service))).await;
    }
    let registry = Gate::before(&format!("http://{}", world.polaris), None).await;
    let (kube, kubeconfig) = before_api(&world).await;
    let replica = || start(&world, &registry, &kubeconfig).start();
    let replicas = vec![replica(), replica()];
    Soak { polaris, world, registry, kube, replicas, churn }
}

/// As it is installed.
fn start(world: &World, registry: &Gate, kubeconfig: &std::path::Path) -> Start {
    let start = world.controller().kubeconfig(kubeconfig).flag("polaris-address", &registry.address());
    start.flag("poll-interval", "1s").flag("leader-election", "true").flag("log-format", "json")
}

impl Soak {
    /// Whether all entries have what Polaris lists; else how many do not.
    async fn differing(&self, of: usize) -> Result<(), String> {
        let list = self.world.entries.list(&Default::default()).await.map_err(|error| error.to_string())?;
        let mut wrong = Vec::new();
        for entry in list.items {
            let name = entry.metadata.name.clone().unwrap_or_default();
            let entry: Value = serde_json::to_value(entry).map_err(|error| error.to_string())?;
            let answer = self.world.admin.discover(&self.world.namespace, &name).await;
            let mut has = addresses(&entry);
            has.sort_unstable();
            if has != answer.hosts() || has.len() < INSTANCES {
                wrong.push(format!("{name}: {has:?} in place of {:?}", answer.hosts()));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{} of {of} differ: {}", wrong.len(), wrong[0])) }
    }
}

/// The name of a service and of its entry.
pub(super) fn name(service: usize) -> String {
    format!("service-{service}")
}

/// An instance, by its service, its place and how often that was replaced.
pub(super) fn instance(world: &World, service: usize, place: usize, generation: usize) -> (Instance, String) {
    let host = format!("10.{service}.{}.{}", generation % 250, place + 1);
    (truth::instance(world, &name(service), &host), host)
}
