//! The parts of the page, for one reader at a time: rendering ten thousand entries, or asking a module, is work that readers
//! must not be able to heap up.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::Mutex;

use super::feed::Feed;
use super::page::{Page, Wanted};
use super::query;
use super::{LiveExplanation, Status, View};
use crate::rollout::ModuleState;

/// Nothing but this page's own files, from where it came; nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Headers of all that a browser is given.
const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The page of one process.
pub(super) struct Viewer {
    view: View,
    feed: Feed,
    namespace: String,
    /// Held by the one who is served.
    turn: Mutex<()>,
}

impl Viewer {
    pub(super) fn new(view: View) -> Self {
        let namespace = std::env::var("POD_NAMESPACE").unwrap_or_default();
        Self { view, feed: Feed::default(), namespace, turn: Mutex::default() }
    }

    /// The page, as a query wants it.
    pub(super) async fn page(self: &Arc<Self>, query: &str) -> Result<Response<Body>, String> {
        let (wanted, name) = (Wanted::of(query), query::value(query, "entry"));
        let _turn = self.turn.lock().await;
        let entry = match name.is_empty() {
            true => None,
            false => Some(LiveExplanation::of(&self.view, &name).await),
        };
        let viewer = Arc::clone(self);
        let render = move || viewer.render(&wanted, entry.as_ref());
        let text = tokio::task::spawn_blocking(render).await.map_err(|error| error.to_string())?;
        Ok(asset("text/html; charset=utf-8", text))
    }

    fn render(&self, wanted: &Wanted, entry: Option<&Result<LiveExplanation, String>>) -> String {
        let state = self.view.state.borrow().clone();
        let modules: &ModuleState = &state.module;
        let (status, history) = (Status::of(&self.view), self.view.history.recent());
        Page { status: &status, modules, history: &history, namespace: &self.namespace, wanted, entry }.render()
    }

    /// The stream of changes.
    pub(super) fn events(&self) -> Response<Body> {
        match self.feed.body(&self.view) {
            Some(body) => asset("text/event-stream", body),
            None => {
                let mut response = asset("text/plain; charset=utf-8", "too many follow the changes; try again\n");
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
                response
            }
        }
    }

    /// Why an entry is as it is, as JSON.
    pub(super) async fn explain(&self, query: &str) -> Response<Body> {
        let _turn = self.turn.lock().await;
        found(LiveExplanation::of(&self.view, &query::value(query, "entry")).await)
    }

    /// The last changes, of all or of one entry, as JSON.
    pub(super) fn history(&self, query: &str) -> Response<Body> {
        match query::value(query, "entry") {
            all if all.is_empty() => found(Ok(self.view.history.recent())),
            entry => found(self.view.history_of(&entry)),
        }
    }
}

fn found<T: Serialize>(answer: Result<T, String>) -> Response<Body> {
    let text = answer.and_then(|answer| serde_json::to_string_pretty(&answer).map_err(|error| error.to_string()));
    match text {
        Ok(text) => asset("application/json", text + "\n"),
        Err(problem) => {
            let mut response = asset("text/plain; charset=utf-8", problem + "\n");
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

/// Something for a browser.
pub(super) fn asset(kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
