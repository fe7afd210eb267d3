//! The effect of a gate on a request while a fault is on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, Uri};
use serde_json::{Value, json};

/// A request that came.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) body: &'a Bytes,
}

impl Asked<'_> {
    /// Whether it is a watch on the API server.
    pub(crate) fn watches(&self) -> bool {
        self.uri.query().is_some_and(|query| query.contains("watch=true"))
    }

    /// Whether it is a write of an entry.
    pub(crate) fn writes_entry(&self) -> bool {
        self.method == Method::PATCH && self.uri.path().contains("/serviceentries/")
    }

    /// Whether Polaris is asked for this service.
    pub(crate) fn service(&self, name: &str) -> bool {
        String::from_utf8_lossy(self.body).contains(&format!(r#""name":"{name}""#))
    }
}

/// The fate of the request.
#[derive(Clone)]
pub(crate) enum Deed {
    /// It is answered by the server.
    Pass,
    /// It waits until the fault is over, and is then sent on.
    Hang,
    /// It is sent on at once, and the answer waits until the fault is over.
    HoldAnswer,
    /// It is sent on later.
    Delay(Duration),
    /// It is answered in the server's place: status, content type, body.
    Reply(u16, &'static str, Bytes),
    /// Half of the answer arrives, then a reset.
    Cut,
    /// The answer arrives by one byte a second.
    Trickle,
    /// The answer is another one.
    Change(Arc<dyn Fn(Value) -> Value + Send + Sync>),
}

impl Deed {
    /// A failure as the API server words it.
    pub(crate) fn refuse(code: u16, reason: &str) -> Self {
        Self::Reply(code, "application/json", status(code, reason).to_string().into())
    }

    /// A watch that has expired: it starts, and its one event is the error.
    pub(crate) fn expire() -> Self {
        let event = json!({"type": "ERROR", "object": status(410, "Expired")});
        Self::Reply(200, "application/json", format!("{event}\n").into())
    }
}

fn status(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "a fault that the tests inject", "reason": reason, "code": code,
    })
}
