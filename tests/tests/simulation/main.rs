//! The whole controller in a simulated world: subscriptions, controller, rollout, guard, plan, sink, election and shared state,
//! as `run` puts them together, on a paused clock between a model registry and a model API server. One seed says what happens.
//!
//! ```sh
//! simulation                          50 seeds, or as many as begin within a minute
//! simulation --seeds 100000           all of these, however long that takes
//! simulation --seed 7 --log info      one of them, with its log
//! simulation --seed 7 --events 0,3    only some of what happens in it
//! ```
//!
//! Every seed has a process of its own, so that none finds anything that another one left, and a seed comes out the same
//! however many run beside it. tokio's paused clock, and no simulator of a network: there is no network in it, both servers
//! stand behind the seams that the program has anyway. What fails is shrunk by leaving out events: a schedule is a list of
//! them, and one that has no subject any more does nothing, so that needs no library.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod api_server;
mod chance;
mod farm;
mod faults;
mod invariants;
mod journal;
mod machine;
mod native;
mod operators;
mod registry;
mod replicas;
mod schedule;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use schedule::Schedule;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str| value(name).map(|text| text.parse::<u64>().expect("a number"));
    match number("--seed") {
        Some(seed) => one(seed, value("--events").as_deref(), value("--log").as_deref()),
        None => {
            let seeds = number("--seeds");
            let within = seeds.is_none().then_some(A_MINUTE);
            farm::run(number("--from").unwrap_or(0), seeds.unwrap_or(50), within)
        }
    }
}

/// When no other seed is begun, where nobody said how many there are to be.
const A_MINUTE: Duration = Duration::from_secs(55);

/// A simulation that computes for longer than this hangs. By the processor's time: a machine may be busy with other things.
const COMPUTES: Duration = Duration::from_secs(60);

/// One that is not over by then stands still, however busy the machine is.
const WITHIN: Duration = Duration::from_secs(900);

/// Ends the process when it hangs.
fn watch_over() {
    let start = Instant::now();
    while machine::computed() < COMPUTES && start.elapsed() < WITHIN {
        std::thread::sleep(Duration::from_secs(1));
    }
    println!("hang: not at its end after {:.0?} of computing, {:.0?} in all", machine::computed(), start.elapsed());
    std::process::exit(1);
}

/// Lives through one seed, or some of its events.
fn one(seed: u64, events: Option<&str>, log: Option<&str>) -> ExitCode {
    machine::lie_still();
    if let Some(level) = log {
        let filter = tracing_subscriber::EnvFilter::new(level);
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    }
    let mut schedule = Schedule::of(seed);
    if let Some(events) = events {
        let kept: Vec<usize> = events.split(',').filter_map(|text| text.parse().ok()).collect();
        schedule.events = kept.iter().filter_map(|at| schedule.events.get(*at).cloned()).collect();
    }
    std::thread::spawn(watch_over);
    // On a thread, as the main one's stack begins where the arguments end.
    let living = std::thread::spawn(move || world::live(seed, schedule));
    let found = living.join().expect("a simulation that comes to its end");
    found.iter().for_each(|found| println!("{found}"));
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
