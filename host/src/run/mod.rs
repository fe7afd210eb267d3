//! Puts the parts together for a configuration, and runs them.

mod bind;
mod config;
mod connect;
mod engine;
mod error;
mod open;
mod pause;
mod running;
mod start;

pub use config::{Config, HttpPlace, StatePlace, Target};
pub use error::RunError;

use crate::controller::SyncStatus;
use bind::bind;
use open::open;
use start::start;

/// Runs until `shutdown` is done, or with `once` until all entries are reconciled.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<SyncStatus, RunError> {
    let mut shutdown = std::pin::pin!(shutdown);
    let bound = bind(&config).await?;
    let opened = tokio::select! {
        opened = open(&config) => opened?,
        () = &mut shutdown => return Ok(SyncStatus::Synced),
    };
    let running = start(config, bound, opened);
    Ok(running.stop(shutdown).await?)
}
