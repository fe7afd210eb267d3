//! One request and its answer: what goes out, how much is read, and what kind of trouble a failure is.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use crate::http::{self, Body, BodyError, NameError};
use crate::registry::catalogue::decode_listing;
use crate::registry::decode::{self, Decoded};
use crate::registry::polaris::PolarisConfig;
use crate::registry::polaris::job::{Ask, Question};
use crate::registry::polaris::large::{DECODE_APART, LARGE, Large, Leave};
use crate::registry::polaris::token::{Headers, TOKEN_HEADER};
use crate::registry::wire::services_body;
use crate::registry::{Listing, RegistryError};

/// The header in which the server repeats every code but 200000.
const CODE_HEADER: &str = "x-polaris-code";

/// An "unchanged" body is 839 bytes. It is read only so that the connection can be used again, and not for ever.
const DRAIN_LIMIT: u64 = 64 << 10;

/// A request as it goes out, and how its answer is read.
struct Form<T> {
    body: Vec<u8>,
    read: fn(&[u8], &str) -> Result<T, RegistryError>,
    /// The meaning of an answer without content.
    unchanged: fn() -> T,
}

/// Makes requests over HTTP; cheap to clone.
#[derive(Debug, Clone)]
pub struct Asker {
    client: Arc<Client>,
    headers: Arc<Headers>,
    large: Large,
    body_limit: usize,
    connect_timeout: Duration,
    total_timeout: Duration,
}

impl Asker {
    pub(in crate::registry::polaris) fn new(
        config: &PolarisConfig,
        headers: Arc<Headers>,
        large: Large,
    ) -> Result<Self, RegistryError> {
        Ok(Self {
            client: Arc::new(Client::new(config)?),
            headers,
            large,
            body_limit: config.body_limit,
            connect_timeout: config.connect_timeout,
            total_timeout: config.total_timeout,
        })
    }

    /// Asks for the services of the question's namespace.
    pub(in crate::registry::polaris) async fn list(&self, question: &Question) -> Result<Listing, RegistryError> {
        let body = services_body(&question.service.namespace, &question.revision);
        self.persist(question, &Form { body, read: decode_listing, unchanged: || Listing::Unchanged }).await
    }

    /// Asks once more where the token, or a file for TLS, has changed since.
    async fn persist<T: Send + 'static>(&self, question: &Question, form: &Form<T>) -> Result<T, RegistryError> {
        let headers = self.headers.get();
        let (client, built) = self.client.get();
        let mut result = self.exchange(question, form, &client, headers.clone()).await;
        if matches!(result, Err(RegistryError::Tls { .. })) {
            match self.client.renew(built).await {
                Ok(true) => result = self.exchange(question, form, &self.client.get().0, headers.clone()).await,
                Ok(false) => {}
                Err(error) => result = Err(error),
            }
        }
        if matches!(result, Err(RegistryError::Denied { .. })) {
            match self.headers.renew(headers.get(TOKEN_HEADER)).await {
                Ok(true) => result = self.exchange(question, form, &self.client.get().0, self.headers.get()).await,
                Ok(false) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    async fn exchange<T: Send + 'static>(
        &self,
        question: &Question,
        form: &Form<T>,
        client: &reqwest::Client,
        headers: HeaderMap,
    ) -> Result<T, RegistryError> {
        let deadline = Instant::now() + self.total_timeout;
        let mut request = Request::new(Method::POST, question.address.discover_url().clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(form.body.clone().into());
        let mut response = client.execute(request).await.map_err(|error| self.trouble(question, error))?;
        let code = code(&response);
        if code == Some(200_001) {
            // A body that does not end costs the connection, no more.
            let _ = http::read(&mut response, DRAIN_LIMIT).await;
            return Ok((form.unchanged)());
        }
        let origin = question.origin();
        let status = response.status();
        if status.is_redirection() {
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
            let problem = format!("it redirects ({status}) to {target:.200}, which is not followed");
            return Err(RegistryError::NotPolaris { origin, problem });
        }
        let (body, leave) = self.read(question, &origin, &mut response, deadline).await?;
        let decoded = self.decode_apart(form.read, body, leave, &origin).await;
        let mut result = decoded.map_err(|error| foreign(error, status, code, &origin));
        if let Err(RegistryError::Limited { wait, .. }) = &mut result {
            *wait = asked_wait(&response);
        }
        result
    }

    /// Reads a body, as far as it is allowed to go; a large one with leave, which is kept until it is decoded.
    async fn read(
        &self,
        question: &Question,
        origin: &str,
        response: &mut Response,
        deadline: Instant,
    ) -> Result<(Vec<u8>, Leave), RegistryError> {
        let failed = |error| match error {
            BodyError::TooLarge(_) => RegistryError::TooLarge { origin: origin.to_owned(), limit: self.body_limit },
            BodyError::Broken(error) => self.trouble(question, error),
        };
        let mut body = Body::new(response, self.body_limit as u64).map_err(failed)?;
        let mut leave = None;
        while body.more().await.map_err(failed)? {
            if leave.is_none() && body.bytes.len() > LARGE {
                leave = timeout_at(deadline, self.large.body()).await.map_err(|_| self.timed_out(question))?;
            }
        }
        Ok((body.bytes, leave))
    }

    /// Decodes a body; a long one off the async threads.
    async fn decode_apart<T: Send + 'static>(
        &self,
        read: fn(&[u8], &str) -> Result<T, RegistryError>,
        body: Vec<u8>,
        leave: Leave,
        origin: &str,
    ) -> Result<T, RegistryError> {
        if body.len() < DECODE_APART {
            return read(&body, origin);
        }
        let leave = (leave, self.large.decoding().await);
        let name = origin.to_owned();
        // The task keeps the leave, as it goes on where nobody waits for it any more.
        let task = tokio::task::spawn_blocking(move || {
            let decoded = read(&body, &name);
            drop((body, leave));
            decoded
        });
        task.await.unwrap_or_else(|error| {
            let problem = format!("its decoding ended early: {error}");
            Err(RegistryError::NotJson { origin: origin.to_owned(), problem })
        })
    }

    fn timed_out(&self, question: &Question) -> RegistryError {
        let (service, address) = ((*question.service).clone(), question.address.to_string());
        RegistryError::TimedOut { service, address, after: self.total_timeout }
    }

    /// The meaning of a failure of the client.
    fn trouble(&self, question: &Question, error: reqwest::Error) -> RegistryError {
        let address = question.address.to_string();
        if let Some(unresolved) = http::cause::<NameError>(&error) {
            return RegistryError::Unresolved {
                address,
                name: unresolved.name.clone(),
                problem: unresolved.cause.to_string(),
            };
        }
        if let Some(tls) = http::cause::<rustls::Error>(&error) {
            return RegistryError::Tls { address, problem: tls.to_string() };
        }
        match (error.is_connect(), error.is_timeout()) {
            (true, true) => RegistryError::Unreachable {
                address,
                problem: format!("no connection came about within {:?}", self.connect_timeout),
            },
            (true, false) => RegistryError::Unreachable { address, problem: http::problem(error) },
            (false, true) => self.timed_out(question),
            (false, false) => {
                RegistryError::Dropped { service: (*question.service).clone(), address, problem: http::problem(error) }
            }
        }
    }
}

impl Ask for Asker {
    async fn ask(&self, question: &Question) -> Result<Decoded, RegistryError> {
        let form = Form { body: question.body(), read: decode::decode, unchanged: || Decoded::Unchanged };
        self.persist(question, &form).await
    }
}

/// Polaris's code, where the headers hold it.
fn code(response: &Response) -> Option<u32> {
    response.headers().get(CODE_HEADER)?.to_str().ok()?.parse().ok()
}

/// How long the server asks to be left alone. The other form of it, a date, is not read: clocks differ.
fn asked_wait(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A body that is no answer of Polaris's may come from something in between: then the HTTP status says more than its text.
fn foreign(error: RegistryError, status: StatusCode, code: Option<u32>, origin: &str) -> RegistryError {
    let readable = !matches!(
        error,
        RegistryError::NotJson { .. } | RegistryError::NotInstances { .. } | RegistryError::Field { .. }
    );
    if readable || status.is_success() {
        return error;
    }
    let words = status.canonical_reason().unwrap_or("an unknown status");
    match (code, status.as_u16()) {
        (Some(code), _) => decode::trouble(code, words, origin),
        (None, status @ (401 | 403 | 429 | 500..)) => decode::trouble(status.into(), words, origin),
        (None, _) => {
            RegistryError::NotPolaris { origin: origin.to_owned(), problem: format!("it answers HTTP {status}") }
        }
    }
}
