//! Many seeds, each in a process of its own, as many at once as there are processors; and those that fail, shrunk.

use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::schedule::Schedule;

/// Failing seeds that are shrunk and told; of more, only the numbers.
const SHRUNK: usize = 5;

/// Runs these seeds, or as many of them as begin within the time.
pub(crate) fn run(from: u64, count: u64, within: Option<Duration>) -> ExitCode {
    let (start, next) = (Instant::now(), AtomicU64::new(from));
    let (failed, lived) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count || within.is_some_and(|within| start.elapsed() > within) {
                        return;
                    }
                    lived.fetch_add(1, Ordering::Relaxed);
                    if let Some(found) = find(seed, None) {
                        // At once, for who ends a long run; shrunk below.
                        println!("seed {seed}: {}", found.lines().next().unwrap_or_default());
                        failed.lock().unwrap().push((seed, found));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    let lived = lived.into_inner();
    println!("{lived} seeds from {from} in {:.1} s: {} fail", start.elapsed().as_secs_f64(), failed.len());
    failed.iter().take(SHRUNK).for_each(|(seed, found)| tell(*seed, found));
    if failed.len() > SHRUNK {
        let others: Vec<_> = failed[SHRUNK..].iter().map(|(seed, found)| format!("{seed} ({})", kind(found))).collect();
        println!("\nand seeds {}", others.join(", "));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tells of a failing seed: what was found, the fewest events that lead there, and the command that replays it.
fn tell(seed: u64, found: &str) {
    let events = shrink(seed, kind(found));
    let schedule = Schedule::of(seed);
    let list = events.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let found = find(seed, Some(&events)).unwrap_or_else(|| found.to_owned());
    println!("\nseed {seed}, {} instances by service, {} replicas:", join(&schedule.services), schedule.replicas);
    for at in events {
        let (time, event) = &schedule.events[at];
        println!("  {:7.3} s  {event:?}", time.as_secs_f64());
    }
    found.lines().for_each(|line| println!("  {line}"));
    println!("  cargo test --workspace --test simulation -- --seed {seed} --events {list} --log info");
}

fn join(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The invariant that was broken first.
fn kind(found: &str) -> &str {
    found.split(':').next().unwrap_or_default()
}

/// The fewest events that still break the same invariant, as far as leaving out parts, ever smaller ones, shows.
fn shrink(seed: u64, kind: &str) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..Schedule::of(seed).events.len()).collect();
    let mut size = kept.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < kept.len() {
            let fewer: Vec<_> = kept
                .iter()
                .enumerate()
                .filter(|(position, _)| !(at..at + size).contains(position))
                .map(|(_, event)| *event)
                .collect();
            let same = find(seed, Some(&fewer)).is_some_and(|found| found.lines().any(|line| self::kind(line) == kind));
            if same { kept = fewer } else { at += size }
        }
        size /= 2;
    }
    kept
}

/// What is found with a seed, or with some of its events; `None` if all is well.
fn find(seed: u64, events: Option<&[usize]>) -> Option<String> {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--seed", &seed.to_string()]).stdin(Stdio::null());
    if let Some(events) = events {
        command.args(["--events", &events.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")]);
    }
    let output = command.output().expect("a process");
    if output.status.success() {
        return None;
    }
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    if !found.is_empty() {
        return Some(found);
    }
    Some(format!("panic: {}", String::from_utf8_lossy(&output.stderr).replace('\n', " ")))
}
