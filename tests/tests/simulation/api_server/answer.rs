//! Answers over HTTP: one body, a failure, or lines that come as they come.

use std::io;

use bytes::Bytes;
use futures::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use serde_json::{Value, json};

use super::Refusal;

pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

pub(super) fn object(value: &Value) -> Answer {
    with_status(200, value)
}

pub(super) fn refusal((code, message): Refusal) -> Answer {
    let reason = match code {
        404 => "NotFound",
        409 if message.contains("already exists") => "AlreadyExists",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        _ => "InternalError",
    };
    with_status(code, &status(code, reason, &message))
}

pub(super) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code})
}

pub(super) fn stream(lines: impl Stream<Item = Value> + Send + 'static) -> Answer {
    use futures::StreamExt;
    let frames = lines.map(|line| Ok(Frame::data(Bytes::from(format!("{line}\n")))));
    Response::new(StreamBody::new(frames).boxed_unsync())
}

fn with_status(code: u16, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).map_err(|never| match never {}).boxed_unsync();
    let answer = Response::builder().status(code).header("content-type", "application/json").body(body);
    answer.expect("an answer")
}
