//! One request to a registry and its answer, with a bound on everything: time, length, redirects.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, Request, Response, StatusCode, Url};
use rustls::ClientConfig;

use crate::http::{self, BodyError, NameError};
use crate::source::{Settings, SourceError};
use crate::tls::{self, TlsError};

/// A registry sends its blobs to a store's address, which may have one more of its own.
const HOPS: u32 = 5;

/// Manifests, tokens and errors are small; the specification has registries refuse manifests of more than 4 MiB, and ours
/// have some 1 KiB.
const SMALL: u64 = 1 << 20;

/// The thing that is asked for, by the name that texts give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Manifest,
    Module,
    Token,
    Signature,
    /// A place to send bytes to.
    Upload,
    PushedBytes,
    PushedManifest,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Module => "module",
            Self::Token => "access token",
            Self::Signature => "signature",
            Self::Upload => "upload",
            Self::PushedBytes => "pushed bytes",
            Self::PushedManifest => "pushed manifest",
        }
    }

    /// The one status that says that it was done.
    pub(super) fn success(self) -> StatusCode {
        match self {
            Self::Manifest | Self::Module | Self::Token | Self::Signature => StatusCode::OK,
            Self::Upload => StatusCode::ACCEPTED,
            Self::PushedBytes | Self::PushedManifest => StatusCode::CREATED,
        }
    }

    pub(super) fn is_push(self) -> bool {
        self.success() != StatusCode::OK
    }
}

pub(super) struct Ask<'a> {
    pub(super) what: What,
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) accept: &'static str,
    pub(super) authorization: Option<&'a HeaderValue>,
    /// The body that is sent, with its media type.
    pub(super) body: Option<&'a (&'static str, Bytes)>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether a redirect led to another server. What that one says of authorization counts for nothing: it could name itself
    /// as the one to give the credentials to (CVE-2020-15157).
    pub(super) is_foreign: bool,
}

/// An HTTP client for one reference, which its errors name.
pub(super) struct Http {
    reference: String,
    client: Client,
    connect_timeout: Duration,
    request_timeout: Duration,
    size_limit: u64,
}

impl Http {
    pub(super) fn new(reference: String, settings: &Settings) -> Result<Self, SourceError> {
        let Settings { oci, size_limit, .. } = settings;
        let tls = trust(&reference, oci.authority.as_deref())?;
        let client = http::client(tls, oci.connect_timeout, |builder| builder)
            .map_err(|problem| SourceError::Client { origin: reference.clone(), problem })?;
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

    /// Follows redirects. The credentials go no further than the server that they are for, and not back to it on the word of
    /// another.
    async fn walk(&self, ask: Ask<'_>) -> Result<Answer, SourceError> {
        let mut url = ask.url.clone();
        let mut is_foreign = false;
        for _ in 0..=HOPS {
            is_foreign |= url.origin() != ask.url.origin();
            let authorization = ask.authorization.filter(|_| !is_foreign);
            let response = self.send(&ask, &url, authorization).await?;
            let Some(location) = response.headers().get(LOCATION).filter(|_| response.status().is_redirection()) else {
                return self.read(&ask, response, is_foreign).await;
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
    ) -> Result<Response, SourceError> {
        let mut request = Request::new(ask.method.clone(), url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(ask.accept));
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        if let Some((media_type, bytes)) = ask.body {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            *request.body_mut() = Some(bytes.clone().into());
        }
        self.client.execute(request).await.map_err(|error| self.trouble(ask.what, url, error))
    }

    fn trouble(&self, what: What, url: &Url, error: reqwest::Error) -> SourceError {
        if !error.is_connect() {
            return self.dropped(what, error);
        }
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let remedy = match http::cause::<rustls::Error>(&error) {
            Some(_) => {
                "if an authority of your own made its certificate, name that by --oci-ca-file; if it speaks no TLS, allow that by --oci-plain-http"
            }
            None => "see that it runs and can be reached from here",
        };
        let problem = match http::cause::<NameError>(&error) {
            Some(unresolved) => unresolved.to_string(),
            None if error.is_timeout() => format!("none came about within {:?}", self.connect_timeout),
            None => http::problem(error),
        };
        SourceError::Unreachable { reference: self.reference.clone(), host, problem, remedy }
    }

    fn dropped(&self, what: What, error: reqwest::Error) -> SourceError {
        SourceError::Dropped { reference: self.reference.clone(), what: what.name(), problem: http::problem(error) }
    }

    async fn read(&self, ask: &Ask<'_>, mut response: Response, is_foreign: bool) -> Result<Answer, SourceError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let limit = if ask.what == What::Module && status.is_success() { self.size_limit } else { SMALL };
        match http::read(&mut response, limit).await {
            Ok(body) => Ok(Answer { status, headers, body, is_foreign }),
            Err(BodyError::TooLarge(size)) => Err(self.too_large(ask.what, size, limit)),
            Err(BodyError::Broken(error)) => Err(self.dropped(ask.what, error)),
        }
    }

    fn too_large(&self, what: What, size: Option<u64>, limit: u64) -> SourceError {
        match what {
            What::Module => SourceError::TooLarge { origin: self.reference.clone(), size, limit },
            _ => SourceError::Answer {
                reference: self.reference.clone(),
                field: what.name().into(),
                problem: format!("it has more than {limit} bytes"),
                remedy: "see that the address is a registry's",
            },
        }
    }
}

/// Trusts the system's certificates, and those of a file.
fn trust(reference: &str, authority: Option<&Path>) -> Result<ClientConfig, SourceError> {
    let unfit = |problem| SourceError::Authority { path: authority.map(Into::into).unwrap_or_default(), problem };
    let pem = authority.map(tls::read).transpose().map_err(unfit)?;
    tls::client(pem.as_deref(), None).map_err(|error| match error {
        TlsError::Authority(problem) => unfit(problem),
        error => SourceError::Client { origin: reference.into(), problem: error.to_string() },
    })
}
