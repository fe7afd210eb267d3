//! Puts the parts together for a configuration, and runs them.

mod bind;
mod check;
mod chronicle;
mod config;
mod connect;
mod engine;
mod error;
mod guard_record;
mod open;
mod pause;
mod running;
mod start;
mod uninstall;

pub use check::{Finding, Verdict, check};
pub use config::{Cluster, Config, HttpPlace, StatePlace, Target};
pub use connect::connect;
pub use error::RunError;
pub use running::Running;
pub use uninstall::{Found, Leftover, Made, Object, Uninstall, UninstallError};

use crate::controller::SyncStatus;
use crate::registry::Registry;
use bind::bind;
use open::open;
use start::start;

/// Runs until `shutdown` is done, or with `once` until all entries are reconciled.
pub async fn run<R: Registry>(config: Config<R>, shutdown: impl Future<Output = ()>) -> Result<SyncStatus, RunError> {
    let mut shutdown = std::pin::pin!(shutdown);
    let running = tokio::select! {
        running = begin(config) => running?,
        () = &mut shutdown => return Ok(SyncStatus::Synced),
    };
    Ok(running.finish(shutdown).await?)
}

/// Binds, opens and starts all. It may wait long for a cluster.
pub async fn begin<R: Registry>(mut config: Config<R>) -> Result<Running<R>, RunError> {
    let bound = bind(&config).await?;
    let opened = open(&mut config).await?;
    Ok(start(config, bound, opened))
}
