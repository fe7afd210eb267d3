//! How the registry of the tests answers a request.

use serde_json::json;

use super::BASIC;

/// How a request is answered.
#[derive(Clone)]
pub(super) enum Reply {
    Full(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A longer body is announced than comes.
    Truncated(Vec<u8>),
    /// A body of this announced length, or of none; as much as is taken.
    Endless(Option<u64>),
    /// Nothing, for ever.
    Silence,
}

pub(super) fn status(status: u16) -> Reply {
    Reply::Full(status, Vec::new(), Vec::new())
}

pub(super) fn body(body: impl Into<Vec<u8>>) -> Reply {
    Reply::Full(200, Vec::new(), body.into())
}

pub(super) fn redirect(to: impl Into<String>) -> Reply {
    Reply::Full(307, vec![("location", to.into())], Vec::new())
}

pub(super) fn challenge(challenge: impl Into<String>) -> Reply {
    let denied = json!({"errors": [{"code": "UNAUTHORIZED", "message": format!("you sent {BASIC}")}]});
    Reply::Full(401, vec![("www-authenticate", challenge.into())], denied.to_string().into())
}
