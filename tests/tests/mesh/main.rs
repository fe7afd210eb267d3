//! The whole way, from an instance that registers to a request that it answers: the controller's binary between a real
//! Polaris, a real API server with istiod's webhook in force, and Envoy and CoreDNS as workloads meet them.
//!
//! The checks are on what a client sees, and on istiod's own account of its pushes. Figures go to standard error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "../e2e/controller.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod controller;
#[path = "../e2e/entry.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod entry;
#[path = "../properties/hostile.rs"]
mod hostile;
#[path = "../e2e/world.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod world;

mod churn;
mod dns_controller;
mod files;
mod load;
mod mesh;
mod mtls;
mod names;
mod policies;
mod recipes;
mod rights;
mod traffic;
mod trap;
mod validation;
mod vip;

use std::io::Write as _;
use std::time::Duration;

/// How long anything may take before a test fails: far more than it needs, since other tests run beside it.
const SOON: Duration = Duration::from_secs(60);

/// Prints a figure. Not by eprintln!, whose output cargo test shows of failed tests only.
fn report(figure: &str) {
    let _ = writeln!(std::io::stderr(), "\nFIGURE {figure}");
}
