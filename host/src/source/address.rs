//! A source as an operator writes it: `embedded`, a path, or a reference to a registry.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Reference, SourceError};

/// The source of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The default rules in this binary. Written `embedded`.
    Embedded,
    /// A component file. Written `file:PATH`, or as the path alone.
    File(PathBuf),
    /// A directory that holds one `*.wasm`, such as a mounted ConfigMap. Written `directory:PATH`, or as the path alone if it
    /// ends in `/` or there is a directory now.
    Directory(PathBuf),
    /// An artifact of an OCI registry. Written `oci://registry/repository:tag` or `oci://registry/repository@sha256:…`.
    Oci(Reference),
}

const KINDS: &str = "write embedded, file:PATH, directory:PATH or oci://registry/repository:tag";

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        if let Some(reference) = text.strip_prefix("oci://") {
            return reference.parse().map(Self::Oci);
        }
        let bad = |problem: &str| SourceError::Address { text: text.into(), problem: problem.into(), remedy: KINDS };
        if text.starts_with("oci:") {
            return Err(bad("`oci:` is not followed by `//`"));
        }
        if let Some(path) = text.strip_prefix("file:") {
            return if path.is_empty() { Err(bad("it names no file")) } else { Ok(Self::File(path.into())) };
        }
        if let Some(path) = text.strip_prefix("directory:") {
            return if path.is_empty() { Err(bad("it names no directory")) } else { Ok(Self::Directory(path.into())) };
        }
        if let Some((scheme, _)) = text.split_once("://") {
            // The rest after a foreign scheme may hold a password, so it is not repeated.
            return Err(SourceError::Address {
                text: format!("{scheme}://…"),
                problem: "modules do not come that way".into(),
                remedy: KINDS,
            });
        }
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        let path = PathBuf::from(text);
        Ok(if text.ends_with('/') || path.is_dir() { Self::Directory(path) } else { Self::File(path) })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Directory(path) => write!(f, "directory:{}", path.display()),
            Self::Oci(reference) => reference.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_shown() {
        for (text, wanted, shown) in [
            ("embedded", Source::Embedded, "embedded"),
            (" embedded ", Source::Embedded, "embedded"),
            ("file:a.wasm", Source::File("a.wasm".into()), "file:a.wasm"),
            ("file:embedded", Source::File("embedded".into()), "file:embedded"),
            ("file:/tmp", Source::File("/tmp".into()), "file:/tmp"),
            ("/no/where.wasm", Source::File("/no/where.wasm".into()), "file:/no/where.wasm"),
            ("/no/where/", Source::Directory("/no/where/".into()), "directory:/no/where/"),
            ("/tmp", Source::Directory("/tmp".into()), "directory:/tmp"),
            ("directory:/no/where", Source::Directory("/no/where".into()), "directory:/no/where"),
        ] {
            let source: Source = text.parse().unwrap();
            assert_eq!(source, wanted, "{text}");
            assert_eq!(source.to_string(), shown);
            assert_eq!(shown.parse(), Ok(source));
        }
        let oci = "oci://localhost:5000/rules/default:v1";
        assert!(matches!(oci.parse(), Ok(Source::Oci(_))));
        assert_eq!(oci.parse::<Source>().unwrap().to_string(), oci);
    }

    #[test]
    fn what_is_no_source_is_told_with_a_remedy() {
        for (text, words) in [
            ("", "it is empty"),
            ("file:", "it names no file"),
            ("directory:", "it names no directory"),
            ("oci:localhost/rules:v1", "is not followed by `//`"),
            ("https://user:secret@host/module.wasm", "`https://…`: modules do not come that way"),
        ] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(error.contains("write embedded, file:PATH"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
