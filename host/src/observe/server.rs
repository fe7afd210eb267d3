//! A small HTTP server for probes, metrics and the status. It answers GET, changes nothing, and takes no command.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use super::process::Process;
use super::{Collected, Status, View};
use crate::telemetry::Metrics;

/// Connections at once; more wait.
const CONNECTIONS: usize = 64;
/// How long a request's head may take to arrive, and an idle connection may stay.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// How long a connection may last in all: a scraper opens another.
const CONNECTION_WITHIN: Duration = Duration::from_secs(600);
/// The format of metrics for those who ask for it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The format for all others: every scraper reads it.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The port, where none is named.
pub const PORT: u16 = 8080;

/// A server that listens, ready to be served.
pub struct HttpServer {
    listener: TcpListener,
    site: Arc<OnceLock<Site>>,
}

/// Gives a server what it answers from, when that is there. Until then the process is alive, and not ready.
pub struct Opener(Arc<OnceLock<Site>>);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
#[error("--http-address {address}: {source}; give another address, or `none`")]
pub struct HttpError {
    address: SocketAddr,
    source: io::Error,
}

/// What it answers from.
struct Site {
    view: View,
    registry: Registry,
}

impl HttpServer {
    /// Listens at an address.
    ///
    /// # Errors
    ///
    /// It is taken, or not this machine's.
    pub async fn bind(address: SocketAddr) -> Result<Self, HttpError> {
        let listener = TcpListener::bind(address).await.map_err(|source| HttpError { address, source })?;
        Ok(Self { listener, site: Arc::default() })
    }

    /// To be used once.
    pub fn opener(&self) -> Opener {
        Opener(Arc::clone(&self.site))
    }

    /// Listens at the usual port of all addresses; of IPv4 alone, where there is no IPv6. None where that cannot be had, with
    /// a warning: nobody asked for it.
    pub async fn bind_usual() -> Option<Self> {
        match Self::bind((Ipv6Addr::UNSPECIFIED, PORT).into()).await {
            Ok(server) => Some(server),
            Err(first) => match Self::bind((Ipv4Addr::UNSPECIFIED, PORT).into()).await {
                Ok(server) => Some(server),
                Err(_) => {
                    warn!("no metrics, status and probes over HTTP: {first}");
                    None
                }
            },
        }
    }

    /// Serves until the future is dropped.
    pub async fn serve(self) {
        if let Ok(address) = self.listener.local_addr() {
            info!(%address, "serving /metrics, /status, /livez and /readyz");
        }
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let site = Arc::clone(&self.site);
                    tokio::spawn(async move {
                        connection(stream, site).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Of file descriptors, mostly, and then again at once.
                    warn!("HTTP: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Opener {
    /// From now on it answers from these.
    pub fn open(self, view: View, metrics: &Metrics, per_entry: bool) {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let own = registry.sub_registry_with_prefix("polaris2istio");
        metrics.register(own);
        own.register_collector(Box::new(Collected::new(view.clone(), per_entry)));
        // Nobody else can have, since this is used up.
        let _ = self.0.set(Site { view, registry });
    }
}

async fn connection(stream: TcpStream, site: Arc<OnceLock<Site>>) {
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(answer(site.get(), &request)) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(16 << 10);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_WITHIN, served).await {
        debug!("HTTP: {error}");
    }
}

fn answer(site: Option<&Site>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        // Whoever answers is alive: what is wrong with registry or API server, a restart would not mend.
        "/livez" => text(StatusCode::OK, "ok\n"),
        "/" => text(StatusCode::OK, "/metrics\n/status\n/livez\n/readyz\n"),
        path => match (path, site) {
            ("/readyz" | "/metrics" | "/status", None) => text(StatusCode::SERVICE_UNAVAILABLE, "still starting\n"),
            ("/readyz", Some(site)) => site.readiness(),
            ("/metrics", Some(site)) => site.metrics(wants_open_metrics(request.headers())),
            ("/status", Some(site)) => site.status(),
            _ => text(StatusCode::NOT_FOUND, "not found\n"),
        },
    }
}

impl Site {
    fn readiness(&self) -> Response<Full<Bytes>> {
        let reasons = self.view.unready();
        if reasons.is_empty() {
            return text(StatusCode::OK, "ok\n");
        }
        text(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
    }

    fn metrics(&self, open: bool) -> Response<Full<Bytes>> {
        let mut body = String::new();
        let (encoded, kind) = if open {
            (encoding::text::encode(&mut body, &self.registry), OPEN_METRICS)
        } else {
            (encoding::prometheus_text::encode(&mut body, &self.registry), PROMETHEUS)
        };
        match encoded {
            Ok(()) => typed(text(StatusCode::OK, body), kind),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    fn status(&self) -> Response<Full<Bytes>> {
        match serde_json::to_vec_pretty(&Status::of(&self.view)) {
            Ok(mut body) => {
                body.push(b'\n');
                typed(text(StatusCode::OK, body), "application/json")
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

/// Whether a scraper takes OpenMetrics. Those that do prefer it, whatever else they take.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let takes = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"));
        named && !parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    };
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| value.split(',').any(takes))
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    typed(response, "text/plain; charset=utf-8")
}

fn typed(mut response: Response<Full<Bytes>>, kind: &'static str) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, open) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/plain"), false),
            (Some("text/plain, application/openmetrics-text; q=0"), false),
            (Some("Application/OpenMetrics-Text"), true),
            (Some(prometheus), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|accept| (ACCEPT, HeaderValue::from_static(accept))));
            assert_eq!(wants_open_metrics(&headers), open, "{accept:?}");
        }
    }
}
