//! The token of those who may read the status, in a file that is read for every request: a new one needs no restart.

use std::path::Path;

use axum::http::HeaderValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::digest::Digest;

/// No token is longer.
const LONGEST: u64 = 64 << 10;

/// The reasons for which the status is not shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    /// The file is not as it should be; nobody is let in.
    #[error("--status-token-file: {0}")]
    Unreadable(String),
    /// None was given, or another one.
    #[error("the status needs a token: `Authorization: Bearer ...`, as in the file of --status-token-file")]
    Refused,
}

/// Compares what a request brings with what is in the file.
///
/// # Errors
///
/// They are not the same, or the file has no token.
pub(super) async fn check(file: &Path, given: Option<&HeaderValue>) -> Result<(), TokenError> {
    let token = read(file).await.map_err(|error| TokenError::Unreadable(error.to_string()))?;
    let token = token.trim();
    if token.is_empty() {
        return Err(TokenError::Unreadable("the file is empty".into()));
    }
    let given = given.and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' '));
    let given = given.and_then(|(scheme, rest)| sent(scheme, rest.trim()));
    // By their digests, so that the time it takes tells nothing of the token.
    match given.is_some_and(|given| Digest::of(given.as_bytes()) == Digest::of(token.as_bytes())) {
        true => Ok(()),
        false => Err(TokenError::Refused),
    }
}

/// The token that a header brings: as such, or as the password of any user, which is how browsers send one.
fn sent(scheme: &str, rest: &str) -> Option<String> {
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    let decoded = STANDARD.decode(rest).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.trim().to_owned())
}

async fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(file).await?.take(LONGEST).read_to_string(&mut text).await?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_token_of_the_file_is_let_in() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let check = async |given: Option<&'static str>| {
            check(&file, given.map(HeaderValue::from_static).as_ref()).await.map_err(|error| error.to_string())
        };
        assert!(check(Some("Bearer secret")).await.unwrap_err().contains("No such file"));
        std::fs::write(&file, "\n").unwrap();
        assert!(check(Some("Bearer ")).await.unwrap_err().contains("empty"));
        std::fs::write(&file, "secret\n").unwrap();
        for given in [None, Some("Bearer other"), Some("Bearer"), Some("Basic secret"), Some("secret")] {
            assert!(check(given).await.unwrap_err().contains("needs a token"), "{given:?}");
        }
        // `any:secret`, `:secret`, and `secret` without a user.
        assert!(check(Some("Basic c2VjcmV0")).await.is_err());
        for given in ["Bearer secret", "bearer  secret", "Basic YW55OnNlY3JldA==", "basic OnNlY3JldA=="] {
            assert_eq!(check(Some(given)).await, Ok(()));
        }
        std::fs::write(&file, "new").unwrap();
        assert_eq!(check(Some("Bearer new")).await, Ok(()));
    }
}
