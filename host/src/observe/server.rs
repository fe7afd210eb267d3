//! Serves a [`Site`] over HTTP, with a bound on all that clients can take: connections, time, and memory for what they do not
//! read.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tracing::{debug, info, warn};

use super::Site;
use super::connections::Connections;

/// How long a request's head may take to arrive, and an idle connection may stay.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may read nothing of an answer.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may last in all: a scraper opens another.
const CONNECTION_WITHIN: Duration = Duration::from_secs(600);
/// What the system may keep of an answer that is not read; it would take megabytes.
const SEND_BUFFER: u32 = 128 << 10;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The kubelet's probes alone, so that nothing else keeps them waiting.
    Probes,
    /// Metrics, the status, and the probes for whoever asks by hand.
    Pages,
}

/// A server that listens, ready to be served.
pub struct HttpServer {
    purpose: Purpose,
    listener: TcpListener,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
#[error("{} {address}: {source}; give another address, or `none`", purpose.flag())]
pub struct HttpError {
    purpose: Purpose,
    address: SocketAddr,
    source: io::Error,
}

impl Purpose {
    /// The port, where none is named.
    pub const fn port(self) -> u16 {
        match self {
            Self::Pages => 8080,
            Self::Probes => 8081,
        }
    }

    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Probes => "probes",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Pages => "--http-address",
            Self::Probes => "--probe-address",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Pages => "metrics, status and probes",
            Self::Probes => "probes at an address of their own",
        }
    }

    fn router(self, site: &Site) -> Router {
        match self {
            Self::Pages => site.pages(),
            Self::Probes => site.probes(),
        }
    }
}

impl HttpServer {
    /// Listens at an address.
    ///
    /// # Errors
    ///
    /// It is taken, or not this machine's.
    pub fn bind(purpose: Purpose, address: SocketAddr) -> Result<Self, HttpError> {
        let listener = listen(address).map_err(|source| HttpError { purpose, address, source })?;
        Ok(Self { purpose, listener })
    }

    /// Listens at the usual port of all addresses; of IPv4 alone, where there is no IPv6. None where that cannot be had, with
    /// a warning: nobody asked for it.
    pub fn bind_usual(purpose: Purpose) -> Option<Self> {
        let at = |address: std::net::IpAddr| Self::bind(purpose, (address, purpose.port()).into());
        match at(Ipv6Addr::UNSPECIFIED.into()) {
            Ok(server) => Some(server),
            Err(first) => match at(Ipv4Addr::UNSPECIFIED.into()) {
                Ok(server) => Some(server),
                Err(_) => {
                    warn!("no {} over HTTP: {first}", purpose.what());
                    None
                }
            },
        }
    }

    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Serves until the future is dropped.
    pub async fn serve(self, site: Site) {
        let Self { purpose, listener } = self;
        if let Ok(address) = listener.local_addr() {
            match purpose {
                Purpose::Pages => info!(%address, "serving /metrics, /status, /livez and /readyz"),
                Purpose::Probes => info!(probes = %address, "serving /livez and /readyz"),
            }
        }
        let router = purpose.router(&site);
        let connections = Arc::new(Connections::default());
        loop {
            match listener.accept().await {
                Ok((stream, client)) => connections.serve(client.ip(), connection(stream, router.clone())),
                Err(error) => {
                    // Of file descriptors, mostly, and then again at once.
                    warn!("HTTP: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn connection(stream: TcpStream, router: Router) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(READ_WITHIN));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(16 << 10);
    let served = builder.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_WITHIN, served).await {
        debug!("HTTP: {error}");
    }
}
