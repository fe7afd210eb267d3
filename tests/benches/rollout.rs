//! The cost of a change of modules for the calls meanwhile, and for the process that goes through a hundred of them.
//!
//! `cargo bench -p polaris2istio-tests --bench rollout`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that cannot run has to say so")]

#[path = "../tests/sandbox/storm.rs"]
mod storm;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let storm = runtime.block_on(storm::storm(150, 1));
    let mut switches = storm.switches.clone();
    switches.sort();
    let at = |share: usize| switches[(switches.len() - 1) * share / 100];
    println!(
        "{} conversions of 10 instances by several callers, over {} changes of modules",
        storm.conversions,
        switches.len()
    );
    println!("failed {}, of another module than they say {}, lost 0", storm.failed, storm.mixed);
    println!("a change: median {:?}, longest {:?}", at(50), at(100));
    println!("longest conversion: {:?}, while a module was compiled {:?}", storm.longest.0, storm.longest.1);
    println!("resident memory: {} KiB after a third, {} KiB at the end", storm.resident.0, storm.resident.1);
}
