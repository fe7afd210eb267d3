//! The shared part of the tests against real servers: the servers themselves,
//! and the one way to wait for something.
//!
//! A test starts like this, and so is skipped, loudly, if the servers have not
//! been built:
//!
//! ```no_run
//! # use polaris2istio_tests::servers;
//! # async fn test() {
//! let Some(servers) = servers::shared().await else { return };
//! let namespace = servers.api.create_namespace("reviews").await;
//! let polaris = servers.polaris.admin();
//! # }
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "support for tests: a panic is how a test fails, and it names the place"
)]

mod backend;
pub mod guest;
mod http_client;
mod memory;
mod poll;
pub mod servers;

pub use backend::Backend;
pub use memory::{Memory, memory};
pub use poll::{try_for, wait_for};

/// The program, which lies beside this test's own in the target directory.
pub fn binary() -> std::path::PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let binary = test.ancestors().nth(2).expect("a test lies in target/debug/deps").join("polaris2istio");
    assert!(binary.exists(), "{} is missing; run `cargo build -p polaris2istio` first", binary.display());
    binary
}
