//! Looks, before an installation or after one, whether all is there that a run needs: each thing by itself, with a remedy, and
//! without changing anything.

mod cluster;
mod registry;
mod rights;

use std::fmt;

use super::connect::client;
use super::{Config, Target};
use crate::registry::Registry;

/// The finding on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub verdict: Verdict,
    /// One or two words.
    pub subject: String,
    /// A sentence, with the remedy where there is one.
    pub text: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Ok,
    /// It runs without, or it could not be seen.
    Warn,
    /// It does not run without.
    Fail,
}

impl Finding {
    pub fn ok(subject: &str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, subject: subject.into(), text: text.into() }
    }

    pub fn warn(subject: &str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, subject: subject.into(), text: text.into() }
    }

    pub fn fail(subject: &str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, subject: subject.into(), text: text.into() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        })
    }
}

/// Looks at everything that a configuration needs.
pub async fn check<R: Registry>(config: Config<R>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if matches!(config.target, Target::Kubernetes) {
        match client(&config, None).await {
            Ok(client) => {
                findings.extend(cluster::check(&client, &config).await);
                findings.extend(rights::check(&client, &config).await);
            }
            Err(error) => findings.push(Finding::fail("cluster", error.to_string())),
        }
    }
    findings.insert(0, registry::check(config.registry).await);
    findings
}
