//! HTTP as a client: how one is made, how a body is read within a bound, and what is behind a failure.
//!
//! Who answers is not trusted. So a client goes where it is sent and nowhere else: redirects are the caller's to judge, no
//! proxy of the environment is used, and nothing is sent a second time by itself.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{ClientBuilder, Response};
use rustls::ClientConfig;

/// The name that we go by.
const AGENT: &str = "polaris2istio";

/// A client with the limits that all of ours have; `more` sets what the caller needs beside them.
///
/// # Errors
///
/// The library cannot make one, for the reason in the text.
pub(crate) fn client(
    tls: ClientConfig,
    connect_timeout: Duration,
    more: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .user_agent(AGENT)
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(SystemResolver))
        .tls_backend_preconfigured(tls);
    more(builder).build().map_err(problem)
}

/// A body that is being read, as far as it is allowed to go.
pub(crate) struct Body<'a> {
    response: &'a mut Response,
    limit: u64,
    /// What has come so far.
    pub(crate) bytes: Vec<u8>,
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It has more than the limit, and how much where it says so.
    TooLarge(Option<u64>),
    /// The connection did not last.
    Broken(reqwest::Error),
}

impl<'a> Body<'a> {
    /// The body of an answer; one that says that it is larger is not begun.
    pub(crate) fn new(response: &'a mut Response, limit: u64) -> Result<Self, BodyError> {
        match response.content_length() {
            Some(length) if length > limit => Err(BodyError::TooLarge(Some(length))),
            _ => Ok(Self { response, limit, bytes: Vec::new() }),
        }
    }

    /// Reads on. Returns whether more came.
    pub(crate) async fn more(&mut self) -> Result<bool, BodyError> {
        let Some(chunk) = self.response.chunk().await.map_err(BodyError::Broken)? else { return Ok(false) };
        if (self.bytes.len() + chunk.len()) as u64 > self.limit {
            return Err(BodyError::TooLarge(None));
        }
        self.bytes.extend_from_slice(&chunk);
        Ok(true)
    }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(response: &mut Response, limit: u64) -> Result<Vec<u8>, BodyError> {
    let mut body = Body::new(response, limit)?;
    while body.more().await? {}
    Ok(body.bytes)
}

/// Resolves names through the operating system, as every other program on the machine does, and keeps the failure apart from
/// other reasons why no connection came about: a wrong name is called a wrong name.
struct SystemResolver;

/// The name does not resolve.
#[derive(Debug)]
pub(crate) struct NameError {
    pub(crate) name: String,
    pub(crate) cause: io::Error,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` does not resolve: {}", self.name, self.cause)
    }
}

impl Error for NameError {}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str().to_owned();
            // The port is the client's to set.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map(Vec::from_iter);
            match found {
                Ok(found) => Ok(Box::new(found.into_iter()) as Addrs),
                Err(cause) => Err(NameError { name, cause }.into()),
            }
        })
    }
}

/// An error and its causes, from the outermost.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        // An error of the system that wraps another hides it from `source`.
        Some(inner) => Some(inner),
        None => error.source(),
    })
}

/// The first cause of a kind.
pub(crate) fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The innermost two causes: the outer ones say little, and the outermost repeats the address, which may hold a signature.
pub(crate) fn problem(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes: Vec<String> = causes(&error).skip(1).map(ToString::to_string).collect();
    match causes.as_slice() {
        [] => error.to_string(),
        [.., outer, inner] if !outer.contains(inner.as_str()) => format!("{outer}: {inner}"),
        [.., inner] => inner.clone(),
    }
}
