//! Binds what listens, before anything else: an address that is taken ends the run at once.

use super::{Config, HttpPlace, RunError};
use crate::control::Socket;
use crate::observe::{HttpError, HttpServer, Purpose, Site};
use crate::tasks::{Pulse, Tasks};

/// The listeners of a run.
pub(super) struct Bound {
    pub(super) socket: Option<Socket>,
    /// What is served over HTTP already.
    pub(super) site: Site,
    /// All that runs beside the controller.
    pub(super) tasks: Tasks,
}

/// Binds what listens. HTTP is served at once: a process that waits for its state is alive.
pub(super) async fn bind<R>(config: &Config<R>) -> Result<Bound, RunError> {
    let socket = match &config.socket {
        Some(path) => Some(Socket::bind(path).await?),
        None => None,
    };
    let servers = [listen(Purpose::Pages, config.http)?, listen(Purpose::Probes, config.probes)?];
    let pulse = Pulse::default();
    let site = Site::new(config.status_token.clone(), pulse.clone());
    let mut tasks = Tasks::new(pulse);
    for server in servers.into_iter().flatten() {
        tasks.spawn(server.purpose().name(), server.serve(site.clone()));
    }
    Ok(Bound { socket, site, tasks })
}

fn listen(purpose: Purpose, place: HttpPlace) -> Result<Option<HttpServer>, HttpError> {
    Ok(match place {
        HttpPlace::Nowhere => None,
        HttpPlace::Usual => HttpServer::bind_usual(purpose),
        HttpPlace::At(address) => Some(HttpServer::bind(purpose, address)?),
    })
}
