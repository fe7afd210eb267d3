//! Credentials from a Docker `config.json`: what `docker login` and `oras login` write, and what a Kubernetes
//! imagePullSecret holds.
//!
//! Only `auths` is read. Credential helpers are other programs, which an image without a shell does not have; where the
//! file leaves a registry to one, a denial says so. The secret never leaves this module but as a header marked as sensitive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::source::{Reference, SourceError};
use crate::text;

/// No config.json is longer than this; a larger file is a mistake.
const LIMIT: u64 = 1 << 20;

/// The credentials for a registry.
#[derive(Debug)]
pub(super) struct Credentials {
    /// Basic authorization; `None` if the registry is asked anonymously.
    pub(super) basic: Option<HeaderValue>,
    /// Their origin, or the reason why there are none; for the operator.
    pub(super) told: String,
    /// The remedy if they are refused.
    pub(super) remedy: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

const LOG_IN: &str = "add the registry to a Docker config.json (docker login, or an imagePullSecret) and name that by --oci-docker-config";

/// Finds the credentials for a reference, in the given file or in Docker's own.
pub(super) fn find(given: Option<&Path>, reference: &Reference) -> Result<Credentials, SourceError> {
    let anonymous = |told: String| Ok(Credentials { basic: None, told, remedy: LOG_IN });
    let Some(path) = given.map(Path::to_owned).or_else(of_docker) else {
        return anonymous("without credentials (there is no config.json of Docker's)".into());
    };
    let broken =
        |problem: String, remedy: &'static str| SourceError::DockerConfig { path: path.clone(), problem, remedy };
    let mut text = Vec::new();
    if let Err(error) = File::open(&path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut text)) {
        if given.is_none() && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
            return anonymous(format!("without credentials ({} does not exist)", path.display()));
        }
        return Err(broken(
            format!("cannot be read: {error}"),
            "make it readable, or name another by --oci-docker-config",
        ));
    }
    if text.len() as u64 > LIMIT {
        return Err(broken(format!("it is larger than {LIMIT} bytes"), "name a config.json as Docker writes it"));
    }
    decode(&text, &path, reference)
}

/// Finds the credentials for a reference in a config.json.
pub(super) fn decode(text: &[u8], path: &Path, reference: &Reference) -> Result<Credentials, SourceError> {
    let broken =
        |problem: String, remedy: &'static str| SourceError::DockerConfig { path: path.into(), problem, remedy };
    let config: Config = serde_json::from_slice(text::without_mark(text)).map_err(|error| {
        // The error's own text may repeat a secret.
        let place = format!("it is not as Docker writes it, at line {} column {}", error.line(), error.column());
        broken(place, "write {\"auths\": {\"REGISTRY\": {\"auth\": \"…\"}}}")
    })?;
    match config.entry(reference) {
        Some((name, entry)) => {
            let basic = basic(entry).map_err(|(problem, remedy)| broken(format!("auths.{name}: {problem}"), remedy))?;
            let told = format!("with the credentials that {} has for `{name}`", path.display());
            let remedy = "see that they are right, have not expired, and allow to pull this repository";
            Ok(Credentials { basic: Some(basic), told, remedy })
        }
        None => match config.helper(reference) {
            Some(helper) => Ok(Credentials {
                basic: None,
                told: format!(
                    "without credentials ({} leaves them to the credential helper `{helper}`, and helpers are not supported)",
                    path.display()
                ),
                remedy: "write them into `auths` of a config.json of its own and name that by --oci-docker-config",
            }),
            None => Ok(Credentials {
                basic: None,
                told: format!("without credentials ({} has none for {})", path.display(), reference.registry()),
                remedy: LOG_IN,
            }),
        },
    }
}

/// The file in which Docker keeps its configuration.
fn of_docker() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("DOCKER_CONFIG")
        .or_else(|| set("HOME").map(|home| home.join(".docker")))
        .map(|folder| folder.join("config.json"))
}

impl Config {
    /// The most exact entry: keys are registries, in several spellings, and may go on with a repository or its beginning.
    fn entry(&self, reference: &Reference) -> Option<(&str, &Entry)> {
        let usable = self.auths.iter().filter(|(_, entry)| entry.holds_something());
        let fitting = usable.filter_map(|(name, entry)| fit(name, reference).map(|length| (length, name, entry)));
        fitting.max_by_key(|(length, ..)| *length).map(|(_, name, entry)| (name.as_str(), entry))
    }

    fn helper(&self, reference: &Reference) -> Option<&str> {
        let own = self.cred_helpers.iter().find(|(name, _)| fit(name, reference).is_some());
        own.map(|(_, helper)| helper.as_str()).or(self.creds_store.as_deref())
    }
}

impl Entry {
    /// With a helper in use, Docker leaves empty entries behind.
    fn holds_something(&self) -> bool {
        let Self { auth, username, password, identitytoken, registrytoken } = self;
        [auth, username, password, identitytoken, registrytoken]
            .into_iter()
            .any(|field| field.as_ref().is_some_and(|field| !field.is_empty()))
    }
}

/// The length of the repository path that a key names; `None` if the key does not fit.
fn fit(key: &str, reference: &Reference) -> Option<usize> {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    let (registry, path) = key.split_once('/').unwrap_or((key, ""));
    let hub = |name: &str| matches!(name, "docker.io" | "index.docker.io" | "registry-1.docker.io");
    if registry != reference.registry() && !(hub(registry) && reference.is_docker_hub()) {
        return None;
    }
    let rest = reference.repository().strip_prefix(path)?;
    (path.is_empty() || rest.is_empty() || rest.starts_with('/')).then_some(path.len())
}

fn basic(entry: &Entry) -> Result<HeaderValue, (&'static str, &'static str)> {
    let field = |field: &Option<String>| field.clone().filter(|field| !field.is_empty());
    let pair = match (field(&entry.username), field(&entry.password), field(&entry.auth)) {
        (Some(username), Some(password), _) => format!("{username}:{password}").into_bytes(),
        (_, _, Some(auth)) => {
            let pair = STANDARD.decode(auth.trim()).map_err(|_| ("`auth` is not base64", "log in again"))?;
            if !pair.contains(&b':') {
                return Err(("`auth` is not base64 of USER:PASSWORD", "log in again"));
            }
            pair
        }
        _ if field(&entry.identitytoken).or(field(&entry.registrytoken)).is_some() => {
            return Err((
                "it holds a token alone, which is not supported",
                "log in with a user and a password or access key",
            ));
        }
        _ => return Err(("it holds a user or a password, but not both", "log in again")),
    };
    let mut header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| ("it cannot be put in a header", "log in again"))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn find_in(config: &Value, reference: &str) -> Result<Credentials, SourceError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, config.to_string()).unwrap();
        find(Some(&path), &reference.parse().unwrap())
    }

    fn pair(credentials: &Credentials) -> Option<String> {
        let header = credentials.basic.as_ref()?;
        assert!(header.is_sensitive());
        let text = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        Some(String::from_utf8(STANDARD.decode(text).unwrap()).unwrap())
    }

    fn auth(pair: &str) -> Value {
        json!({"auth": STANDARD.encode(pair)})
    }

    #[test]
    fn the_most_exact_entry_counts() {
        let config = json!({"auths": {
            "ghcr.io": auth("a:1"),
            "https://ghcr.io/v2/": {},
            "ghcr.io/team": auth("b:2"),
            "ghcr.io/team/rules": {"username": "c", "password": "3"},
            "https://index.docker.io/v1/": auth("d:4"),
            "http://localhost:5000/": auth("e:5:6"),
        }});
        for (reference, wanted) in [
            ("ghcr.io/other/rules:v1", Some("a:1")),
            ("ghcr.io/team/other:v1", Some("b:2")),
            ("ghcr.io/team/rules:v1", Some("c:3")),
            ("ghcr.io/teams/rules:v1", Some("a:1")),
            ("docker.io/rules:v1", Some("d:4")),
            ("localhost:5000/rules:v1", Some("e:5:6")),
            ("localhost/rules:v1", None),
            ("evil-ghcr.io/rules:v1", None),
        ] {
            let found = find_in(&config, reference).unwrap();
            assert_eq!(pair(&found).as_deref(), wanted, "{reference}: {}", found.told);
        }
    }

    #[test]
    fn helpers_are_named() {
        for config in
            [json!({"credsStore": "desktop", "auths": {"ghcr.io": {}}}), json!({"credHelpers": {"ghcr.io": "desktop"}})]
        {
            let found = find_in(&config, "ghcr.io/rules:v1").unwrap();
            assert!(found.basic.is_none());
            assert!(found.told.contains("the credential helper `desktop`"), "{}", found.told);
        }
    }

    #[test]
    fn what_is_broken_is_told_without_the_secret() {
        for (config, words) in [
            (json!({"auths": {"ghcr.io": "secret"}}), "line 1 column"),
            (json!({"auths": {"ghcr.io": {"auth": "secret!"}}}), "auths.ghcr.io: `auth` is not base64"),
            (json!({"auths": {"ghcr.io": {"auth": STANDARD.encode("secret")}}}), "of USER:PASSWORD"),
            (json!({"auths": {"ghcr.io": {"identitytoken": "secret"}}}), "a token alone"),
            (json!({"auths": {"ghcr.io": {"password": "secret"}}}), "but not both"),
        ] {
            let error = find_in(&config, "ghcr.io/rules:v1").unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let missing = find(Some(Path::new("/no/config.json")), &"ghcr.io/rules:v1".parse().unwrap());
        assert!(missing.unwrap_err().to_string().contains("/no/config.json: cannot be read"));
    }
}
