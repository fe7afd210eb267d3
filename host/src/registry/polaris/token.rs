//! The access token: where it comes from, and the request headers that carry it.
//!
//! It is marked as sensitive at once and never handed out as text, so that no log line and no error can hold it.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::redact::NOT_SHOWN;
use crate::registry::RegistryError;
use crate::text;

/// The header that carries the token.
pub(super) const TOKEN_HEADER: &str = "x-polaris-token";

/// No token is longer than this; a larger file is a mistake.
const TOKEN_LIMIT: u64 = 16 << 10;

/// Where the access token comes from.
#[derive(Clone, Default)]
pub enum TokenSource {
    /// The server wants none.
    #[default]
    None,
    Value(String),
    /// A file that holds the token alone; read again when the server denies access, so that a token can be changed.
    File(PathBuf),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Value(_) => write!(f, "Value{NOT_SHOWN}"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// The headers of every request, the token included.
#[derive(Debug, Default)]
pub(super) struct Headers {
    file: Option<PathBuf>,
    current: RwLock<HeaderMap>,
}

impl Headers {
    pub(super) fn new(source: &TokenSource) -> Result<Self, RegistryError> {
        let (file, token) = match source {
            TokenSource::None => (None, None),
            TokenSource::Value(token) => (None, Some(header(token.as_bytes(), "the given value")?)),
            TokenSource::File(path) => (Some(path.clone()), Some(read(path)?)),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            headers.insert(TOKEN_HEADER, token);
        }
        Ok(Self { file, current: RwLock::new(headers) })
    }

    /// The headers of a request.
    pub(super) fn get(&self) -> HeaderMap {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The token alone.
    pub(super) fn token(&self) -> Option<HeaderValue> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).get(TOKEN_HEADER).cloned()
    }

    /// Access was denied with the token `used`: reads the file again. Returns whether another try makes sense, which is when
    /// the token is another one by now.
    pub(super) async fn renew(&self, used: Option<&HeaderValue>) -> Result<bool, RegistryError> {
        let Some(path) = self.file.clone() else {
            return Ok(false);
        };
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        // The task can only be gone when the whole program is going.
        let Ok(token) = read else { return Ok(false) };
        let token = token?;
        if used == Some(&token) {
            return Ok(false);
        }
        self.current.write().unwrap_or_else(PoisonError::into_inner).insert(TOKEN_HEADER, token);
        Ok(true)
    }
}

fn read(path: &Path) -> Result<HeaderValue, RegistryError> {
    let origin = path.display().to_string();
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(TOKEN_LIMIT + 1).read_to_end(&mut text))
        .map_err(|error| RegistryError::Token { origin: origin.clone(), problem: error.to_string() })?;
    if text.len() as u64 > TOKEN_LIMIT {
        return Err(RegistryError::Token { origin, problem: format!("it is larger than {TOKEN_LIMIT} bytes") });
    }
    header(&text, &origin)
}

fn header(token: &[u8], origin: &str) -> Result<HeaderValue, RegistryError> {
    let problem = |problem: &str| RegistryError::Token { origin: origin.to_owned(), problem: problem.to_owned() };
    let token = text::without_mark(token).trim_ascii();
    if token.is_empty() {
        return Err(problem("it is empty"));
    }
    let mut value =
        HeaderValue::from_bytes(token).map_err(|_| problem("it holds characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}
