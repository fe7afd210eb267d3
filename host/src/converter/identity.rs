//! The identity of a module in use: the digest of its bytes, and the parameters that it is given.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::converter::Parameters;
use crate::digest::Digest;

/// A module with its parameters. Equal identities give equal outcomes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The digest of the module's bytes.
    pub module: Digest,
    /// The parameters that the operator sets for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

impl Identity {
    /// A module with its parameters.
    pub fn new(module: Digest, parameters: &[(String, String)]) -> Self {
        Self { module, parameters: parameters.iter().cloned().collect() }
    }

    /// The name by which commands call it: the first digits of the digest and, where it has parameters, of theirs. Other
    /// parameters are another module, and a person decides on one.
    pub fn handle(&self) -> String {
        let digest = &self.module.hex()[..12];
        self.parameters_hex().map_or_else(|| digest.into(), |parameters| format!("{digest}+{}", &parameters[..8]))
    }

    /// The digest of the parameters in hexadecimal digits; `None` if there are none.
    pub(crate) fn parameters_hex(&self) -> Option<String> {
        let text = serde_json::to_vec(&self.parameters).ok().filter(|_| !self.parameters.is_empty())?;
        Some(Digest::of(&text).hex())
    }

    /// The parameters in the form in which a module is given them.
    pub(crate) fn parameters(&self) -> Parameters {
        self.parameters.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The metadata of instances that the default rules leave out by a parameter; nothing for another module's parameters.
    pub(crate) fn excluded_metadata(&self) -> Vec<(String, String)> {
        let own = polaris2istio_core::parameters::Parameters::read(&self.parameters());
        own.map(|read| read.exclude_metadata).unwrap_or_default()
    }
}

/// The digest, and the parameters if there are any.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.module.fmt(f)?;
        for (at, (key, value)) in self.parameters.iter().enumerate() {
            write!(f, "{}{key}={value}", if at == 0 { " with " } else { ", " })?;
        }
        Ok(())
    }
}
