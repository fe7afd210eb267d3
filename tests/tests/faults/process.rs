//! Faults of the controller's own process, and of the machine that it runs on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use polaris2istio_tests::servers::{Directory, OciOptions, OciRegistry};
use serde_json::Value;

use super::controller::Start;
use super::deed::Deed;
use super::disk::Disk;
use super::row::Row;
use super::stage::Stage;
use super::unwritten::Unwritten;

/// How long a fault is held.
const HELD: Duration = Duration::from_secs(6);

/// How long the process is frozen.
const FROZEN: Duration = Duration::from_secs(30);

/// How a leader's term begins, in the log.
const LEADS: &str = "this replica writes from now on";

/// Fewer than any process of ours has open: nothing more can be opened.
const NO_MORE_FILES: u32 = 4;

/// Enough for all.
const MANY_FILES: u32 = 1_024;

/// The rows.
pub(crate) const ROWS: [Row; 8] = [
    Row::new("process: SIGSTOP 30 s", |stage| freeze(stage).boxed_local()),
    Row::new("process: SIGKILL during a write", |stage| kill(stage).boxed_local()).quick(),
    Row::new("process: clock jumps by 2 h", |stage| clock(stage).boxed_local()).needs(clock_can_be_faked),
    Row::new("process: disk full for the cache", |stage| cache(stage).boxed_local()).needs(Disk::can_be),
    Row::new("process: disk full for the log", |stage| log(stage).boxed_local()).needs(Disk::can_be).quick(),
    Row::new("process: no file descriptors left", |stage| descriptors(stage).boxed_local())
        .with(|start| start.http())
        .backs_off()
        .quick(),
    Row::new("process: leader killed while writing", |stage| leader_killed(stage).boxed_local()).with(replica),
    Row::new("process: leader frozen while writing", |stage| leader_frozen(stage).boxed_local()).with(replica),
];

async fn freeze(stage: &mut Stage<'_>) {
    stage.controller.process.signal("STOP");
    stage.hold(FROZEN).await;
    stage.controller.process.signal("CONT");
}

/// The API server has taken the write, and the process never hears of it.
async fn kill(stage: &mut Stage<'_>) {
    stage.kube.set(|asked| if asked.writes_entry() { Deed::HoldAnswer } else { Deed::Pass });
    stage.until_writing().await;
    stage.controller.process.kill();
    stage.kube.clear();
    stage.controller.start_again();
}

/// Forward, and then as far back; only what is told the time of day, as a step of NTP would.
async fn clock(stage: &mut Stage<'_>) {
    let directory = Directory::new("clock");
    let offset = directory.write("offset", "+0");
    let start = replica(stage.start())
        .env("LD_PRELOAD", &fake_time().display().to_string())
        .env("FAKETIME_TIMESTAMP_FILE", &offset.display().to_string())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    stage.replace(start).await;
    Stage::says(&stage.controller, LEADS).await;
    for jump in ["+2h", "-2h", "+0"] {
        directory.write("offset", jump);
        stage.hold(HELD).await;
    }
    let jumped = Timestamp::now() + SignedDuration::from_hours(1);
    assert!(stage.controller.log().iter().any(|line| time_of(line) > Some(jumped)), "its clock has jumped");
}

/// When a line was logged, by the clock of who logged it.
fn time_of(line: &str) -> Option<Timestamp> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["timestamp"].as_str()?.parse().ok()
}

/// Where Debian's package libfaketime has its library.
fn fake_time() -> PathBuf {
    format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH).into()
}

/// Installs what is missing, where that may be.
fn clock_can_be_faked() -> Result<(), &'static str> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("need-faketime");
    let there = Command::new(script).status().is_ok_and(|status| status.success());
    if there && fake_time().exists() { Ok(()) } else { Err("run `apt-get install -y libfaketime` (Debian) first") }
}

/// The controller starts with a module that cannot be kept.
async fn cache(stage: &mut Stage<'_>) {
    let registry = OciRegistry::start(stage.servers.binaries, OciOptions { auth: false, tls: false }).await;
    registry.push("rules", "v1", &super::embedded().await).await;
    let disk = Disk::full("cache");
    let start = stage.start().flag("module", &format!("oci://{}/rules:v1", registry.address()));
    stage.replace(start.flag("module-cache", &disk.path().display().to_string())).await;
    stage.hold(HELD).await;
    Stage::says(&stage.controller, "os error 28").await;
    disk.free();
    // Neither the disk nor the registry is needed once the module is there.
    drop(registry);
    stage.keep(disk);
}

/// The log cannot be written: not a line of it is there until there is room.
async fn log(stage: &mut Stage<'_>) {
    let disk = Disk::full("log");
    let unwritten = Unwritten::new();
    let start = unwritten.of(stage.start()).flag("log", "debug").log(&disk.path().join("log"));
    stage.replace(start).await;
    stage.hold(HELD).await;
    assert_eq!(stage.controller.process.log(), "", "the disk is full");
    assert!(unwritten.text().contains("conversion module loaded"), "lines are lost: {}", unwritten.text());
    disk.free();
    Stage::says(&stage.controller, "DEBUG").await;
    stage.keep(disk);
    stage.unwritten = Some(unwritten);
}

/// Nothing can be opened, and what was open is cut: every connection would have to be made anew.
async fn descriptors(stage: &mut Stage<'_>) {
    let id = stage.controller.process.id();
    limit(id, NO_MORE_FILES);
    stage.kube.cut();
    stage.registry.cut();
    stage.hold(HELD).await;
    limit(id, MANY_FILES);
    Stage::says(&stage.controller, "os error 24").await;
}

/// Sets how many files a process may have open.
fn limit(id: u32, files: u32) {
    let limited = Command::new("prlimit").args([format!("--pid={id}"), format!("--nofile={files}:")]).status();
    assert!(limited.is_ok_and(|status| status.success()), "prlimit (Debian package util-linux)");
}

/// One of several, whose lease is short.
fn replica(start: Start) -> Start {
    start.flag("leader-election", "true").flag("lease-duration", "3s")
}

/// A second replica, by a way of its own.
async fn second(stage: &mut Stage<'_>) {
    Stage::says(&stage.controller, LEADS).await;
    let start = replica(stage.world.controller().flag("empty-hold", "1h")).start();
    Stage::says(&start, "another replica writes").await;
    stage.others.push(start);
}

/// It dies with a write under way; from then on the other one is on its own.
async fn leader_killed(stage: &mut Stage<'_>) {
    second(stage).await;
    stage.kube.set(|asked| if asked.writes_entry() { Deed::Hang } else { Deed::Pass });
    stage.until_writing().await;
    stage.controller.process.kill();
    stage.kube.clear();
    std::mem::swap(&mut stage.controller, &mut stage.others[0]);
    stage.others.clear();
}

/// It freezes with a write under way, which arrives after the other one leads; and then it wakes.
async fn leader_frozen(stage: &mut Stage<'_>) {
    second(stage).await;
    stage.kube.set(|asked| if asked.writes_entry() { Deed::Hang } else { Deed::Pass });
    stage.until_writing().await;
    stage.controller.process.signal("STOP");
    Stage::says(&stage.others[0], LEADS).await;
    stage.hold(HELD).await;
    stage.kube.clear();
    stage.controller.process.signal("CONT");
}
