//! End to end: the controller's binary between a real Polaris and a real API server.
//!
//! Each test has a namespace of its own, which has the same name in both servers, and a controller of its own. What is
//! checked is what the servers then hold, and the API server's own account of who wrote what.
//! The controller is installed by the manifests as shipped, and runs with a token of its own ServiceAccount.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]
mod bad_input;
mod canned;
mod check;
#[allow(dead_code, reason = "the table of faults needs the rest of it")]
mod controller;
mod dashboard;
mod entry;
mod events;
mod faults;
mod following;
mod guard;
#[allow(dead_code, reason = "other tests need the rest of it")]
mod in_process;
mod instances;
mod lifecycle;
mod modules;
mod no_op;
mod observed;
mod ownership;
mod policies;
mod proxy;
mod rebinding;
mod replicas;
mod rights;
mod secrets;
mod takeover;
mod tls;
mod uninstall;
mod world;

use std::time::Duration;

/// How long anything may take before a test fails: far more than it needs, since other tests run beside it.
const SOON: Duration = Duration::from_secs(45);
