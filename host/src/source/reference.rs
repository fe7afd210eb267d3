//! The name of an artifact in a registry, as <https://github.com/distribution/reference> defines it, but for two
//! things: the registry is always named, and so is the tag or the digest, since the choice of what a program runs should
//! not depend on a default.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::SourceError;
use crate::digest::Digest;
use crate::redact::NOT_SHOWN;

/// An artifact in a registry: `registry/repository` with a tag, a digest, or both, in which case the digest counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry's host, with its port if one was given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same artifact by its digest.
    pub(super) fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The tag or digest by which the manifest is asked for.
    pub(super) fn manifest(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            // The parser lets no such reference through; a registry would answer 404.
            (None, None) => String::new(),
        }
    }

    /// The host that serves the registry's API.
    pub(super) fn host(&self) -> &str {
        // Docker Hub's registry has a name that no reference uses.
        if self.is_docker_hub() { "registry-1.docker.io" } else { &self.registry }
    }

    /// Whether this is Docker Hub, which Docker's own configuration knows under another name.
    pub(super) fn is_docker_hub(&self) -> bool {
        matches!(self.registry.as_str(), "docker.io" | "index.docker.io" | "registry-1.docker.io")
    }

    /// Whether the registry is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = match self.registry.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(rest),
            None => self.registry.split(':').next().unwrap_or(&self.registry),
        };
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = SourceError;

    /// Reads what follows `oci://`.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        let bad = |problem: String, remedy: &'static str| SourceError::Address {
            text: format!("oci://{text}"),
            problem,
            remedy,
        };
        let Some((registry, rest)) = text.split_once('/') else {
            return Err(bad("it names no repository".into(), "write oci://registry/repository:tag"));
        };
        if registry.contains('@') {
            // The part before the sign may be a password, so the text is not repeated.
            return Err(SourceError::Address {
                text: format!("oci://… {NOT_SHOWN}"),
                problem: "it holds a user or password".into(),
                remedy: "name the registry alone, and keep credentials in Docker's config.json",
            });
        }
        if !is_registry(registry) {
            return Err(bad(
                format!("`{registry}` is no registry"),
                "write a host name or address, with :PORT if need be, such as oci://registry.example.com/rules:v1",
            ));
        }
        let (rest, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((rest, digest)) => {
                let parsed = digest
                    .parse()
                    .map_err(|error| bad(format!("`{digest}`: {error}"), "copy the digest as the push printed it"))?;
                (rest, Some(parsed))
            }
        };
        let (repository, tag) = match rest.split_once(':') {
            None => (rest, None),
            Some((repository, tag)) => (repository, Some(tag)),
        };
        if repository.is_empty() || !repository.split('/').all(is_component) {
            return Err(bad(
                format!("`{repository}` is no repository"),
                "use lower-case letters and digits, parted by single `.`, `_`, `-` or `/`",
            ));
        }
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(bad(
                format!("`{tag}` is no tag"),
                "use at most 128 letters, digits, `.`, `_` and `-`, the first a letter, digit or `_`",
            ));
        }
        if tag.is_none() && digest.is_none() {
            return Err(bad("it has neither tag nor digest".into(), "add one, such as :v1 or @sha256:…"));
        }
        let mut reference =
            Self { registry: registry.into(), repository: repository.into(), tag: tag.map(str::to_owned), digest };
        if reference.is_docker_hub() && !repository.contains('/') {
            reference.repository = format!("library/{repository}");
        }
        Ok(reference)
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            if !address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) {
                return false;
            }
            ("v6", port)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let port_fits = match port.strip_prefix(':') {
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => port.is_empty(),
    };
    host.split('.').all(label) && port_fits
}

fn is_component(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|byte| inner(*byte)) && bytes.last().is_some_and(|byte| inner(*byte));
    // Between letters and digits: one dot, one or two underscores, or any number of dashes.
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends && separators
        .into_iter()
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'))
}

fn is_tag(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=128).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(text: &str) -> Result<Reference, SourceError> {
        text.parse()
    }

    #[test]
    fn references_are_read_and_shown() {
        for (text, registry, repository, tag, pinned) in [
            ("localhost:5000/rules:v1", "localhost:5000", "rules", Some("v1"), false),
            ("ghcr.io/a/b-c/d__e.f:_x.Y-2", "ghcr.io", "a/b-c/d__e.f", Some("_x.Y-2"), false),
            (&format!("10.0.0.1/rules@{DIGEST}"), "10.0.0.1", "rules", None, true),
            (&format!("[::1]:5000/a---b:v1@{DIGEST}"), "[::1]:5000", "a---b", Some("v1"), true),
        ] {
            let reference = parse(text).unwrap();
            assert_eq!(reference.registry(), registry);
            assert_eq!(reference.repository(), repository);
            assert_eq!(reference.tag(), tag);
            assert_eq!(reference.digest().is_some(), pinned);
            assert_eq!(reference.to_string(), format!("oci://{text}"));
            assert_eq!(reference.manifest(), if pinned { DIGEST } else { tag.unwrap() });
        }
    }

    #[test]
    fn docker_hub_has_names_of_its_own() {
        let reference = parse("docker.io/rules:v1").unwrap();
        assert_eq!((reference.host(), reference.repository()), ("registry-1.docker.io", "library/rules"));
        assert_eq!(parse("docker.io/a/rules:v1").unwrap().repository(), "a/rules");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (registry, loopback) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.2:80", true),
            ("[::1]:5000", true),
            ("10.0.0.1", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
        ] {
            assert_eq!(parse(&format!("{registry}/rules:v1")).unwrap().is_loopback(), loopback, "{registry}");
        }
    }

    #[test]
    fn what_is_no_reference_is_told_with_a_remedy() {
        for (text, words) in [
            ("rules:v1", "it names no repository"),
            ("/rules:v1", "`` is no registry"),
            ("a..b/rules:v1", "`a..b` is no registry"),
            ("host:/rules:v1", "`host:` is no registry"),
            ("host:0/rules:v1", "is no registry"),
            ("host:65536/rules:v1", "is no registry"),
            ("[::1/rules:v1", "is no registry"),
            ("host/:v1", "`` is no repository"),
            ("host/Rules:v1", "lower-case"),
            ("host/a//b:v1", "is no repository"),
            ("host/../b:v1", "is no repository"),
            ("host/a___b:v1", "is no repository"),
            ("host/a-:v1", "is no repository"),
            ("host/rules:", "`` is no tag"),
            ("host/rules:.v1", "is no tag"),
            ("host/rules:v1:v2", "is no tag"),
            ("host/rules", "it has neither tag nor digest; add one, such as :v1 or @sha256:…"),
            ("host/rules@sha256:12", "64 lower-case hexadecimal digits"),
            ("host/rules@sha512:12", "a digest is written sha256:"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        let error = parse("user:secret@host/rules:v1").unwrap_err().to_string();
        assert!(error.contains("config.json") && !error.contains("secret"), "{error}");
    }
}
