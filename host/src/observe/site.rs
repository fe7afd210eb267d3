//! What is served over HTTP: probes, metrics and the status. It answers GET, changes nothing, and takes no command.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use axum::routing::get;
use prometheus_client::encoding;
use prometheus_client::registry::Registry;
use tower_http::timeout::TimeoutLayer;

use super::formats::{OPEN_METRICS, PROMETHEUS, wants_open_metrics};
use super::page;
use super::process::Process;
use super::shared_body::SharedBody;
use super::token;
use super::viewer::{Viewer, asset};
use super::{Collected, Status, View};
use crate::tasks::Pulse;
use crate::telemetry::Metrics;

/// How long an answer may take to be made.
const MADE_WITHIN: Duration = Duration::from_secs(10);
/// How a browser is asked for the token: as a password, of whatever user.
const BASIC: &str = "Basic realm=\"polaris2istio: any user, and the token as password\", charset=\"UTF-8\"";

/// What is answered from, when that is there. Until then the process is alive, and not ready.
#[derive(Clone)]
pub struct Site {
    /// The file with the token that the status needs; `None` if everybody may read it.
    token: Option<Arc<PathBuf>>,
    pulse: Pulse,
    content: Arc<OnceLock<Arc<Content>>>,
}

struct Content {
    view: View,
    viewer: Arc<Viewer>,
    registry: Registry,
    status: SharedBody,
    open_metrics: SharedBody,
    prometheus: SharedBody,
}

impl Site {
    /// The site before there is a controller.
    pub fn new(token: Option<PathBuf>, pulse: Pulse) -> Self {
        Self { token: token.map(Arc::new), pulse, content: Arc::default() }
    }

    /// From now on it answers from these.
    pub fn open(&self, view: View, metrics: &Metrics, per_entry: bool) {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let own = registry.sub_registry_with_prefix("polaris2istio");
        metrics.register(own);
        own.register_collector(Box::new(Collected::new(view.clone(), per_entry)));
        let content = Content {
            viewer: Arc::new(Viewer::new(view.clone())),
            view,
            registry,
            status: SharedBody::default(),
            open_metrics: SharedBody::default(),
            prometheus: SharedBody::default(),
        };
        // The first counts: a process has one controller.
        let _ = self.content.set(Arc::new(content));
    }

    /// The probes.
    pub(super) fn probes(&self) -> Router {
        let router = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz));
        self.finish(router)
    }

    /// All that is served: the probes as well, for whoever asks by hand.
    pub(super) fn pages(&self) -> Router {
        let file = |kind, body: &'static str| get(async move || asset(kind, body));
        let router = Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/status", get(status))
            .route("/history", get(history))
            .route("/explain", get(explain))
            .route("/events", get(events))
            .route("/", get(index))
            // Nothing of the controller is in these.
            .route("/page.css", file("text/css; charset=utf-8", page::CSS))
            .route("/page.js", file("text/javascript; charset=utf-8", page::JS))
            .route("/icon.svg", file("image/svg+xml", page::ICON));
        self.finish(router)
    }

    fn finish(&self, router: Router<Self>) -> Router {
        router
            .fallback(|| async { text(StatusCode::NOT_FOUND, "not found\n") })
            .method_not_allowed_fallback(|| async { text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n") })
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, MADE_WITHIN))
            .with_state(self.clone())
    }

    /// The content for one who may read it, and else the way to say that one may.
    async fn admit(&self, headers: &HeaderMap, way: &'static str) -> Result<Arc<Content>, Response<Body>> {
        if let Some(file) = &self.token {
            token::check(file, headers.get(AUTHORIZATION)).await.map_err(|error| refusal(error, way))?;
        }
        Ok(self.content()?)
    }

    fn content(&self) -> Result<Arc<Content>, Starting> {
        self.content.get().cloned().ok_or(Starting)
    }
}

/// There is no controller yet to tell of.
struct Starting;

impl From<Starting> for Response<Body> {
    fn from(_: Starting) -> Self {
        text(StatusCode::SERVICE_UNAVAILABLE, "still starting\n")
    }
}

/// The process is alive while all its parts move: what is wrong with registry or API server, a restart would not mend.
async fn livez(State(site): State<Site>) -> Response<Body> {
    let stuck = site.pulse.stuck(Instant::now());
    let line = |(task, silent): &(&str, Duration)| format!("the part `{task}` is stuck for {} s\n", silent.as_secs());
    if stuck.is_empty() {
        return text(StatusCode::OK, "ok\n");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, stuck.iter().map(line).collect::<String>())
}

async fn readyz(State(site): State<Site>) -> Result<Response<Body>, Response<Body>> {
    let reasons = site.content()?.view.unready();
    if reasons.is_empty() {
        return Ok(text(StatusCode::OK, "ok\n"));
    }
    Err(text(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"))
}

async fn metrics(State(site): State<Site>, headers: HeaderMap) -> Result<Response<Body>, Response<Body>> {
    let content = site.content()?;
    let open = wants_open_metrics(&headers);
    let (shared, kind) = if open { (&content.open_metrics, OPEN_METRICS) } else { (&content.prometheus, PROMETHEUS) };
    let made = Arc::clone(&content);
    let body = shared.get(move || made.metrics(open).map_err(|error| error.to_string())).await;
    Ok(typed(text(StatusCode::OK, body.map_err(unmade)?), kind))
}

async fn status(State(site): State<Site>, headers: HeaderMap) -> Result<Response<Body>, Response<Body>> {
    let content = site.admit(&headers, "Bearer").await?;
    let made = Arc::clone(&content);
    let body = content.status.get(move || made.status().map_err(|error| error.to_string())).await;
    Ok(typed(text(StatusCode::OK, body.map_err(unmade)?), "application/json"))
}

/// The page. A browser asks its user for the token, which is then sent as a password.
async fn index(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Response<Body>> {
    let content = site.admit(&headers, BASIC).await?;
    content.viewer.page(&query.unwrap_or_default()).await.map_err(unmade)
}

async fn events(State(site): State<Site>, headers: HeaderMap) -> Result<Response<Body>, Response<Body>> {
    Ok(site.admit(&headers, "Bearer").await?.viewer.events())
}

async fn explain(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Response<Body>> {
    Ok(site.admit(&headers, "Bearer").await?.viewer.explain(&query.unwrap_or_default()).await)
}

async fn history(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Response<Body>> {
    Ok(site.admit(&headers, "Bearer").await?.viewer.history(&query.unwrap_or_default()))
}

impl Content {
    fn metrics(&self, open: bool) -> Result<Vec<u8>, std::fmt::Error> {
        let mut body = String::new();
        if open {
            encoding::text::encode(&mut body, &self.registry)?;
        } else {
            encoding::prometheus_text::encode(&mut body, &self.registry)?;
        }
        Ok(body.into_bytes())
    }

    fn status(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut body = serde_json::to_vec_pretty(&Status::of(&self.view))?;
        body.push(b'\n');
        Ok(body)
    }
}

fn refusal(error: token::TokenError, way: &'static str) -> Response<Body> {
    let mut response = text(
        match &error {
            token::TokenError::Unreadable(..) => StatusCode::SERVICE_UNAVAILABLE,
            token::TokenError::Refused => StatusCode::UNAUTHORIZED,
        },
        format!("{error}\n"),
    );
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(way));
    response
}

fn unmade(error: String) -> Response<Body> {
    text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
}

fn text(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    typed(response, "text/plain; charset=utf-8")
}

fn typed(mut response: Response<Body>, kind: &'static str) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
