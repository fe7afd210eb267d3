//! Talking to one registry about one repository: addresses, credentials, and what its refusals mean.

use bytes::Bytes;
use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::credentials::{self, Credentials};
use super::http::{Answer, Ask, Http, What};
use super::manifest;
use super::token::{self, Access, Challenge};
use crate::digest::Digest;
use crate::source::{PlainHttp, Reference, Settings, SourceError, blocking};

/// A client that has found out how its registry wants to be asked.
pub(super) struct Session {
    reference: Reference,
    settings: Settings,
    access: Access,
    http: Http,
    base: Url,
    /// The answer to the last challenge.
    authorization: Option<HeaderValue>,
}

impl Session {
    pub(super) async fn new(reference: &Reference, settings: &Settings, access: Access) -> Result<Self, SourceError> {
        let plain = match settings.oci.plain_http {
            PlainHttp::Never => false,
            PlainHttp::Loopback => reference.is_loopback(),
            PlainHttp::Always => true,
        };
        let scheme = if plain { "http" } else { "https" };
        let name = reference.to_string();
        let base = format!("{scheme}://{}/v2/{}/", reference.host(), reference.repository());
        let base = Url::parse(&base)
            .map_err(|error| SourceError::Client { origin: name.clone(), problem: format!("{base}: {error}") })?;
        let of_client = settings.clone();
        // Certificates are read from files.
        let http = blocking(&reference.to_string(), move || Http::new(name, &of_client)).await??;
        let (reference, settings) = (reference.clone(), settings.clone());
        Ok(Self { reference, settings, access, http, base, authorization: None })
    }

    /// Asks for the manifest, or with HEAD only for its digest.
    pub(super) async fn manifest(&mut self, method: Method) -> Result<Answer, SourceError> {
        let path = format!("manifests/{}", self.reference.manifest());
        self.ask(What::Manifest, method, &path, manifest::ACCEPT).await
    }

    pub(super) async fn module(&mut self, digest: Digest) -> Result<Vec<u8>, SourceError> {
        Ok(self.get(What::Module, &format!("blobs/{digest}"), "*/*").await?.body)
    }

    pub(super) async fn get(&mut self, what: What, path: &str, accept: &'static str) -> Result<Answer, SourceError> {
        self.ask(what, Method::GET, path, accept).await
    }

    /// Sends bytes, for a manifest to name.
    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), SourceError> {
        let digest = Digest::of(&bytes);
        let begun = self.send(What::Upload, Method::POST, self.at("blobs/uploads/")?, None).await?;
        let location = begun.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let place = location.and_then(|location| self.base.join(location).ok());
        let mut place = place.ok_or_else(|| self.unfit("upload: Location", "it is no address".into()))?;
        if place.origin() != self.base.origin() {
            return Err(self.unfit("upload: Location", "it is another server's".into()));
        }
        place.query_pairs_mut().append_pair("digest", &digest.to_string());
        let body = ("application/octet-stream", bytes);
        self.send(What::PushedBytes, Method::PUT, place, Some(body)).await.map(drop)
    }

    /// Puts a manifest where the reference names it.
    pub(super) async fn push_manifest(&mut self, text: Bytes) -> Result<(), SourceError> {
        let url = self.at(&format!("manifests/{}", self.reference.manifest()))?;
        self.send(What::PushedManifest, Method::PUT, url, Some((manifest::MANIFEST, text))).await.map(drop)
    }

    fn at(&self, path: &str) -> Result<Url, SourceError> {
        self.base.join(path).map_err(|error| self.broken(format!("{path}: {error}")))
    }

    async fn ask(
        &mut self,
        what: What,
        method: Method,
        path: &str,
        accept: &'static str,
    ) -> Result<Answer, SourceError> {
        self.request(what, method, self.at(path)?, accept, None).await
    }

    async fn send(
        &mut self,
        what: What,
        method: Method,
        url: Url,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<Answer, SourceError> {
        self.request(what, method, url, "*/*", body).await
    }

    /// Asks an address of the registry's own, and answers its challenge once.
    async fn request(
        &mut self,
        what: What,
        method: Method,
        url: Url,
        accept: &'static str,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<Answer, SourceError> {
        let mut tried = None;
        loop {
            let authorization = self.authorization.as_ref();
            let body = body.as_ref();
            let ask = Ask { what, method: method.clone(), url: &url, accept, authorization, body };
            let answer = self.http.ask(ask).await?;
            if answer.status != StatusCode::UNAUTHORIZED || answer.is_foreign || tried.is_some() {
                return self.judge(what, answer, tried.as_ref());
            }
            tried = Some(self.authorize(what, answer).await?);
        }
    }

    /// Answers a challenge; the credentials are read anew, as they may have been changed.
    async fn authorize(&mut self, what: What, answer: Answer) -> Result<Credentials, SourceError> {
        let (path, reference) = (self.settings.oci.docker_config.clone(), self.reference.clone());
        let found = blocking(self.http.reference(), move || credentials::find(path.as_deref(), &reference)).await?;
        let credentials = found?;
        let challenge = Challenge::of(&answer.headers, self.reference.repository(), self.access)
            .map_err(|problem| self.unfit("WWW-Authenticate", problem))?;
        let url = match challenge {
            Challenge::Basic => {
                if credentials.basic.is_none() {
                    return Err(self.denied(what, &answer, Some(&credentials)));
                }
                self.authorization.clone_from(&credentials.basic);
                return Ok(credentials);
            }
            Challenge::Bearer(url) => url,
        };
        if self.base.scheme() == "https" && url.scheme() != "https" {
            return Err(self.unfit("WWW-Authenticate", "its realm is not https, as the registry is".into()));
        }
        let ask = Ask {
            what: What::Token,
            method: Method::GET,
            url: &url,
            accept: "application/json",
            authorization: credentials.basic.as_ref(),
            body: None,
        };
        let answer = self.judge(What::Token, self.http.ask(ask).await?, Some(&credentials))?;
        let token = token::granted(&answer.body).map_err(|problem| self.unfit("access token", problem.into()))?;
        self.authorization = Some(token);
        Ok(credentials)
    }

    /// Lets a success pass, and says what else it is.
    fn judge(&self, what: What, answer: Answer, tried: Option<&Credentials>) -> Result<Answer, SourceError> {
        let reference = self.http.reference().to_owned();
        let status = answer.status;
        let code = code(&answer.body);
        match status {
            status if status == what.success() => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied(what, &answer, tried)),
            StatusCode::NOT_FOUND if !what.is_push() => {
                Err(SourceError::Missing { reference, what: what.name(), code })
            }
            _ => {
                let remedy = match status.as_u16() {
                    429 => "it limits requests: poll less often by --oci-poll, or log in",
                    500.. => "see its log; it is asked again by itself",
                    _ if what.is_push() => {
                        "see that the repository may be pushed to, and that it exists where that is needed"
                    }
                    _ if self.base.scheme() == "http" => {
                        "see that the address is a registry's, and that it is to be spoken to without TLS (--oci-plain-http)"
                    }
                    _ => "see that the address is a registry's",
                };
                Err(SourceError::Status { reference, what: what.name(), status: status.as_u16(), code, remedy })
            }
        }
    }

    fn denied(&self, what: What, answer: &Answer, tried: Option<&Credentials>) -> SourceError {
        let (credentials, remedy) = match tried {
            _ if answer.is_foreign => (
                "where it redirects to, and credentials go to no other server than the registry's own".into(),
                "see how the registry's storage is set up",
            ),
            Some(credentials) => (credentials.told.clone(), credentials.remedy),
            // A token that was good before, or a registry that denies without asking for any.
            None => ("to what was presented".into(), "see who may use this repository"),
        };
        SourceError::Denied {
            reference: self.http.reference().into(),
            what: what.name(),
            status: answer.status.as_u16(),
            code: code(&answer.body),
            credentials,
            remedy,
        }
    }

    fn unfit(&self, field: &str, problem: String) -> SourceError {
        SourceError::Answer {
            reference: self.http.reference().into(),
            field: field.into(),
            problem,
            remedy: "see that the address is a registry's, and how it is set up",
        }
    }

    fn broken(&self, problem: String) -> SourceError {
        SourceError::Client { origin: self.http.reference().into(), problem }
    }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

/// The code of a registry's error, such as `, MANIFEST_UNKNOWN`. Its words are left out, as they may repeat what it was sent.
fn code(body: &[u8]) -> String {
    let errors: Option<Errors> = serde_json::from_slice(body).ok();
    let code = errors.and_then(|errors| errors.errors.into_iter().next()).map(|problem| problem.code);
    let plain = |code: &String| {
        (1..=40).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    code.filter(plain).map(|code| format!(", {code}")).unwrap_or_default()
}
