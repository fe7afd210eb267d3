//! One request to a registry and its answer, with a bound on everything: time, length, redirects.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest::Url;

use super::{causes, tls};
use crate::source::{Settings, SourceError};

/// A registry sends its blobs to a store's address, which may have one more of its own.
const HOPS: u32 = 5;

/// Manifests, tokens and errors are small; the specification has registries refuse manifests of more than 4 MiB, and ours
/// have some 1 KiB.
const SMALL: u64 = 1 << 20;

/// What is asked for, by the name that texts give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Manifest,
    Module,
    Token,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Module => "module",
            Self::Token => "access token",
        }
    }
}

pub(super) struct Ask<'a> {
    pub(super) what: What,
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) accept: &'static str,
    pub(super) authorization: Option<&'a HeaderValue>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// An HTTP client for one reference, which its errors name.
pub(super) struct Http {
    reference: String,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    connect_timeout: Duration,
    request_timeout: Duration,
    size_limit: u64,
}

impl Http {
    pub(super) fn new(reference: String, settings: &Settings) -> Result<Self, SourceError> {
        let Settings { oci, size_limit, .. } = settings;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(oci.connect_timeout));
        let tls = tls::config(&reference, oci.authority.as_deref())?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self {
            reference,
            client,
            connect_timeout: oci.connect_timeout,
            request_timeout: oci.request_timeout,
            size_limit: *size_limit,
        })
    }

    pub(super) fn reference(&self) -> &str {
        &self.reference
    }

    /// Asks, whatever the status of the answer.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, SourceError> {
        let what = ask.what.name();
        let late = |_| SourceError::TimedOut { reference: self.reference.clone(), what, after: self.request_timeout };
        tokio::time::timeout(self.request_timeout, self.walk(ask)).await.map_err(late)?
    }

    /// Follows redirects. The credentials go no further than the server that they are for.
    async fn walk(&self, ask: Ask<'_>) -> Result<Answer, SourceError> {
        let mut url = ask.url.clone();
        for _ in 0..=HOPS {
            let authorization = ask.authorization.filter(|_| url.origin() == ask.url.origin());
            let response = self.send(&ask, &url, authorization).await?;
            let Some(location) = response.headers().get(LOCATION).filter(|_| response.status().is_redirection()) else {
                return self.read(&ask, response).await;
            };
            let next = location.to_str().ok().and_then(|location| url.join(location).ok());
            let next = next.ok_or_else(|| self.astray(ask.what, "to something that is no address".into()))?;
            if next.scheme() != ask.url.scheme() {
                let problem = format!("from {} to {}, another scheme", ask.url.scheme(), next.scheme());
                return Err(self.astray(ask.what, problem));
            }
            url = next;
        }
        Err(self.astray(ask.what, format!("more than {HOPS} times")))
    }

    /// Redirects may hold a signature, so no address is repeated.
    fn astray(&self, what: What, problem: String) -> SourceError {
        SourceError::Answer {
            reference: self.reference.clone(),
            field: format!("{}: Location", what.name()),
            problem: format!("it redirects {problem}, which is not followed"),
            remedy: "name the registry that has the module itself, and see how it is set up",
        }
    }

    async fn send(
        &self,
        ask: &Ask<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, SourceError> {
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(url.as_str())
            .header(ACCEPT, ask.accept)
            .header(USER_AGENT, "polaris2istio");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| SourceError::Client { origin: self.reference.clone(), problem: error.to_string() })?;
        self.client.request(request).await.map_err(|error| self.trouble(ask.what, url, &error))
    }

    fn trouble(&self, what: What, url: &Url, error: &hyper_util::client::legacy::Error) -> SourceError {
        let reference = self.reference.clone();
        if !error.is_connect() {
            return SourceError::Dropped { reference, what: what.name(), problem: causes::innermost(error) };
        }
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let problem = match causes::is_late(error) {
            true => format!("none came about within {:?}", self.connect_timeout),
            false => causes::innermost(error),
        };
        let remedy = match causes::is_tls(error) {
            true => {
                "if an authority of your own made its certificate, name that by --oci-ca-file; if it speaks no TLS, allow that by --oci-plain-http"
            }
            false => "see that it runs and can be reached from here",
        };
        SourceError::Unreachable { reference, host, problem, remedy }
    }

    /// Reads a body, as far as it is allowed to go.
    async fn read(&self, ask: &Ask<'_>, response: Response<Incoming>) -> Result<Answer, SourceError> {
        let (head, mut body) = response.into_parts();
        let limit = if ask.what == What::Module && head.status.is_success() { self.size_limit } else { SMALL };
        let announced = body.size_hint().lower();
        if announced > limit {
            return Err(self.too_large(ask.what, Some(announced), limit));
        }
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| SourceError::Dropped {
                reference: self.reference.clone(),
                what: ask.what.name(),
                problem: causes::innermost(&error),
            })?;
            let Some(data) = frame.data_ref() else { continue };
            if (bytes.len() + data.len()) as u64 > limit {
                return Err(self.too_large(ask.what, None, limit));
            }
            bytes.extend_from_slice(data);
        }
        Ok(Answer { status: head.status, headers: head.headers, body: bytes })
    }

    fn too_large(&self, what: What, size: Option<u64>, limit: u64) -> SourceError {
        match what {
            What::Module => SourceError::TooLarge { origin: self.reference.clone(), size, limit },
            What::Manifest | What::Token => SourceError::Answer {
                reference: self.reference.clone(),
                field: what.name().into(),
                problem: format!("it has more than {limit} bytes"),
                remedy: "see that the address is a registry's",
            },
        }
    }
}
