//! The name of a module in a command: what a person decides is about the module that was looked at, and no other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::converter::Identity;

/// Fewer digits could be those of another module by chance.
const DIGEST: std::ops::RangeInclusive<usize> = 6..=64;
/// The parameters are told apart among those of one module.
const PARAMETERS: std::ops::RangeInclusive<usize> = 4..=64;

/// The first digits of a digest, and of that of the parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ModuleName {
    digest: String,
    parameters: Option<String>,
}

/// A text that names no module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a module is named by at least 6 hexadecimal digits of its digest and, if it has parameters, `+` and at least 4 of theirs; `module status` prints the name"
)]
pub struct NoModuleName;

impl ModuleName {
    /// Whether this is the name of a module with its parameters.
    pub fn fits(&self, identity: &Identity) -> bool {
        let parameters = match (&self.parameters, identity.parameters_hex()) {
            (None, None) => true,
            (Some(name), Some(hex)) => hex.starts_with(name),
            (Some(_), None) | (None, Some(_)) => false,
        };
        parameters && identity.module.hex().starts_with(&self.digest)
    }
}

impl FromStr for ModuleName {
    type Err = NoModuleName;

    fn from_str(text: &str) -> Result<Self, NoModuleName> {
        let text = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
        let (digest, parameters) = match text.split_once('+') {
            Some((digest, parameters)) => (digest, Some(parameters)),
            None => (text.as_str(), None),
        };
        let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_name = DIGEST.contains(&digest.len())
            && is_hex(digest)
            && parameters.is_none_or(|parameters| PARAMETERS.contains(&parameters.len()) && is_hex(parameters));
        if is_name {
            Ok(Self { digest: digest.into(), parameters: parameters.map(str::to_owned) })
        } else {
            Err(NoModuleName)
        }
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digest)?;
        self.parameters.iter().try_for_each(|parameters| write!(f, "+{parameters}"))
    }
}

impl From<ModuleName> for String {
    fn from(name: ModuleName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for ModuleName {
    type Error = NoModuleName;

    fn try_from(text: String) -> Result<Self, NoModuleName> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn name(text: &str) -> ModuleName {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_fits_the_module_with_its_parameters_alone() {
        let digest = Digest::of(b"");
        let (plain, with) = (Identity::new(digest, &[]), Identity::new(digest, &[("env".into(), "prod".into())]));
        for fits in ["e3b0c4", "sha256:e3b0c44298", "E3B0C44298FC", &plain.handle()] {
            assert!(name(fits).fits(&plain) && !name(fits).fits(&with), "{fits}");
        }
        assert!(name(&with.handle()).fits(&with) && !name(&with.handle()).fits(&plain));
        let other = Identity::new(digest, &[("env".into(), "test".into())]);
        assert!(!name(&with.handle()).fits(&other), "other parameters are another module");
        assert!(!name("e3b0c5").fits(&plain));
    }

    #[test]
    fn too_little_names_nothing() {
        for text in ["", "e3b0c", "sha256:", "latest", "e3b0c4+", "e3b0c4+abc", "e3b0c4+wxyz", "e3b0c44 298"] {
            assert_eq!(text.parse::<ModuleName>(), Err(NoModuleName), "{text}");
        }
        assert_eq!(name("sha256:E3B0C4+ABCD").to_string(), "e3b0c4+abcd");
    }
}
