//! Binds what listens, before anything else: an address that is taken ends the run at once.

use tokio::task::JoinSet;

use super::{Config, HttpPlace, RunError};
use crate::control::Socket;
use crate::observe::{HttpServer, Opener};

/// The listeners of a run.
pub(super) struct Bound {
    pub(super) socket: Option<Socket>,
    /// The other end of the HTTP server, which is served already.
    pub(super) opener: Option<Opener>,
    /// All that runs beside the controller.
    pub(super) tasks: JoinSet<()>,
}

/// Binds what listens. HTTP is served at once: a process that waits for its state is alive.
pub(super) async fn bind<R>(config: &Config<R>) -> Result<Bound, RunError> {
    let socket = match &config.socket {
        Some(path) => Some(Socket::bind(path).await?),
        None => None,
    };
    let http = match config.http {
        HttpPlace::Nowhere => None,
        HttpPlace::Usual => HttpServer::bind_usual().await,
        HttpPlace::At(address) => Some(HttpServer::bind(address).await?),
    };
    let mut tasks = JoinSet::new();
    let opener = http.map(|http| {
        let opener = http.opener();
        tasks.spawn(http.serve());
        opener
    });
    Ok(Bound { socket, opener, tasks })
}
