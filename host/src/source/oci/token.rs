//! The authorization that a registry wants, by its `WWW-Authenticate`, and the token that it hands out.
//! <https://distribution.github.io/distribution/spec/auth/token/>

use http_auth::parser::ChallengeParser;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;

/// The kind of authorization to present.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password.
    Basic,
    /// A token, from this address.
    Bearer(Url),
}

/// The scope of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Pull,
    Push,
}

impl Challenge {
    /// Reads the challenge of an answer. A token is preferred: a registry that offers both means the token.
    pub(super) fn of(headers: &HeaderMap, repository: &str, access: Access) -> Result<Self, String> {
        let mut found = Err("it names no way to be asked (Bearer or Basic)".to_owned());
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(text) = value.to_str() else { continue };
            for challenge in ChallengeParser::new(text) {
                let Ok(challenge) = challenge else { break };
                if challenge.scheme.eq_ignore_ascii_case("basic") && !matches!(found, Ok(Self::Bearer(_))) {
                    found = Ok(Self::Basic);
                } else if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    let parameter = |wanted: &str| {
                        let parameter = challenge.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                        parameter.map(|(_, value)| value.to_unescaped())
                    };
                    found = address(parameter("realm"), parameter("service"), repository, access).map(Self::Bearer);
                }
            }
        }
        found
    }
}

/// The address of a token that allows so much in the repository, and no more.
fn address(realm: Option<String>, service: Option<String>, repository: &str, access: Access) -> Result<Url, String> {
    let realm = realm.ok_or("its realm is missing")?;
    let mut url = Url::parse(&realm).map_err(|error| format!("its realm is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err("its realm is no plain address".into());
    }
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", &service);
        }
        let actions = if access == Access::Push { "pull,push" } else { "pull" };
        query.append_pair("scope", &format!("repository:{repository}:{actions}"));
    }
    Ok(url)
}

#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
}

/// The authorization that a token server granted.
pub(super) fn granted(body: &[u8]) -> Result<HeaderValue, &'static str> {
    // The parser's own words are not repeated: they may hold a token.
    let granted: Granted = serde_json::from_slice(body).map_err(|_| "it is not JSON as token servers write it")?;
    let token = granted.token.or(granted.access_token).ok_or("it holds no token")?;
    let mut header =
        HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| "it holds a token that no header can carry")?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&str]) -> Result<Challenge, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::of(&headers, "a/rules", Access::Pull)
    }

    #[test]
    fn challenges_are_read() {
        let url = "https://auth.example.com/token?service=the+registry&scope=repository%3Aa%2Frules%3Apull";
        let bearer = || Ok(Challenge::Bearer(url.parse().unwrap()));
        let text =
            r#"Bearer realm="https://auth.example.com/token",service="the registry",scope="repository:other:push""#;
        assert_eq!(challenge(&[text]), bearer());
        assert_eq!(challenge(&[&format!("Basic realm=\"x\", {text}")]), bearer());
        assert_eq!(challenge(&[text, "Basic realm=\"x\""]), bearer());
        assert_eq!(challenge(&["basic realm=\"x\""]), Ok(Challenge::Basic));
    }

    #[test]
    fn bad_challenges_are_told() {
        for (text, words) in [
            ("Digest realm=\"x\"", "no way to be asked"),
            (",,,=", "no way to be asked"),
            ("Bearer service=\"x\"", "its realm is missing"),
            ("Bearer realm=\"token\"", "its realm is no address"),
            ("Bearer realm=\"file:///etc/passwd\"", "no plain address"),
            ("Bearer realm=\"https://user:secret@host/\"", "no plain address"),
        ] {
            assert!(challenge(&[text]).unwrap_err().contains(words), "{text}");
        }
        assert!(challenge(&[]).is_err());
    }

    #[test]
    fn tokens_are_read_and_not_shown() {
        for body in [r#"{"token": "abc"}"#, r#"{"access_token": "abc", "expires_in": 3}"#] {
            let header = granted(body.as_bytes()).unwrap();
            assert_eq!(header, "Bearer abc");
            assert!(header.is_sensitive());
        }
        for body in ["", "{}", "[]", r#"{"token": "secret\n"}"#, r#"{"token": 7}"#] {
            assert!(!granted(body.as_bytes()).unwrap_err().contains("secret"));
        }
    }
}
