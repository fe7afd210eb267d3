//! A table of named faults, made against the real servers; of each: endpoints lost, wrong writes, time to recover, exits.
//!
//! Without arguments the quick rows are run, with `--all` all of them, and with words those whose names contain one of them.
//! Under `--all` a row that cannot be run here is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "../e2e/controller.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod controller;
#[path = "../e2e/entry.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod entry;
#[path = "../e2e/world.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod world;

mod admission;
mod api;
mod books;
mod deed;
mod disk;
mod gate;
mod guarded;
mod hostile;
mod known;
mod process;
mod registry;
mod row;
mod sampler;
mod soak;
mod stage;
mod truth;
mod unwritten;
mod verdict;
mod webhook;
mod weighed;

use std::process::ExitCode;
use std::time::Duration;

use polaris2istio::source::{Settings, Source, fetch};
use polaris2istio_tests::servers;

use row::Row;
use stage::Servers;
use verdict::Verdict;

/// How long anything may take that is no part of a row's figures.
const SOON: Duration = Duration::from_secs(60);

/// The argument for all rows.
const ALL: &str = "--all";

/// The argument for the soak in place of rows, for so many minutes.
const SOAK: &str = "--soak=";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let rows = registry::ROWS.into_iter().chain(api::ROWS).chain(admission::ROWS).chain(process::ROWS);
    let rows = rows.chain(guarded::ROWS).chain(hostile::ROWS).chain(weighed::ROWS);
    let rows: Vec<_> = rows.filter(|row| wanted(row, &arguments)).collect();
    let all = arguments.iter().any(|argument| argument == ALL);
    let Some(binaries) = servers::binaries() else { return code(!all) };
    if let Some(minutes) = arguments.iter().find_map(|argument| argument.strip_prefix(SOAK)) {
        return code(soak::run(binaries, Duration::from_secs_f64(minutes.parse::<f64>().unwrap() * 60.0)).await);
    }
    let mut servers = Servers::start(binaries).await;
    println!("{}", Verdict::head());
    let (mut good, mut bad, mut skipped) = (0, 0, 0);
    for row in rows {
        if !row.can_run() {
            skipped += 1;
            continue;
        }
        let verdict = row.run(&mut servers).await;
        match &verdict {
            Some(verdict) => println!("{verdict}"),
            None => {
                println!("{:34} not played to its end", row.name);
                // They may be as the row left them.
                servers = Servers::start(binaries).await;
            }
        }
        *if verdict.is_some_and(|verdict| verdict.good()) { &mut good } else { &mut bad } += 1;
    }
    println!("{good} faults within their bounds, {bad} not, {skipped} skipped");
    code(bad == 0 && good > 0 && !(all && skipped > 0))
}

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The rows that the arguments choose. Flags of cargo's own harness, which it may pass to all tests, choose none.
fn wanted(row: &Row, arguments: &[String]) -> bool {
    let words: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let all = arguments.iter().any(|argument| argument == ALL);
    match words[..] {
        [] => all || row.quick,
        _ => words.iter().any(|word| row.name.contains(word.as_str())),
    }
}

/// The module that the program embeds.
async fn embedded() -> bytes::Bytes {
    fetch(&Source::Embedded, &Settings::default()).await.unwrap().bytes
}
