//! The service account that an endpoint runs as, and the network that it is in: they make it a workload of the mesh.
//!
//! istiod lets proxies speak plain text to an endpoint without a service account, which a workload under STRICT refuses.
//! The entry's operator names both for all instances, by annotation; where he does not, they come from the metadata that
//! the operator of the controller names, if any. So a registration decides on neither by itself.

use crate::address::is_dns_label;
use crate::annotation;
use crate::diagnostic::{Code, Diagnostics, Rejected};
use crate::fitness::Candidate;
use crate::model::{Instance, Subject};
use crate::parameters::Parameters;
use crate::quote::{Tally, quote};

/// The longest service account, in bytes (Kubernetes' limit, and the CRD's).
pub const LONGEST_SERVICE_ACCOUNT: usize = 253;
/// The longest network, in bytes (the CRD's limit).
pub const LONGEST_NETWORK: usize = 2048;

/// Whether it can be the name of a service account: a DNS name in lower case. It becomes a part of a SPIFFE identity, in
/// which a slash would make it another one.
pub fn is_service_account(name: &str) -> bool {
    name.len() <= LONGEST_SERVICE_ACCOUNT
        && name.split('.').all(is_dns_label)
        && !name.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether it can be the name of a network.
pub fn is_network(name: &str) -> bool {
    (1..=LONGEST_NETWORK).contains(&name.len()) && !name.contains(|c: char| c.is_control() || c.is_whitespace())
}

/// Where one of the two comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source<'a> {
    Nowhere,
    Entry(&'a str),
    Metadata(&'a str),
}

/// One of the two: what it is called, how it is written, and what refuses it.
struct Matter {
    name: &'static str,
    annotation: &'static str,
    invalid: Code,
    not_passed: Code,
    is_valid: fn(&str) -> bool,
    rule: &'static str,
}

const SERVICE_ACCOUNT: Matter = Matter {
    name: "service account",
    annotation: annotation::SERVICE_ACCOUNT,
    invalid: Code::ServiceAccountInvalid,
    not_passed: Code::ServiceAccountsNotPassed,
    is_valid: is_service_account,
    rule: "a DNS name in lower case of at most 253 characters, as Kubernetes has it",
};

const NETWORK: Matter = Matter {
    name: "network",
    annotation: annotation::NETWORK,
    invalid: Code::NetworkInvalid,
    not_passed: Code::NetworksNotPassed,
    is_valid: is_network,
    rule: "a text without spaces of at most 2048 bytes",
};

impl<'a> Source<'a> {
    fn of(
        matter: &Matter,
        annotations: &'a [(String, String)],
        parameter: Option<&'a String>,
        diagnostics: &mut Diagnostics,
    ) -> Result<Self, Rejected> {
        match annotation::find(annotations, matter.annotation) {
            None | Some("") => Ok(parameter.map_or(Self::Nowhere, |key| Self::Metadata(key))),
            Some(name) if (matter.is_valid)(name) => Ok(Self::Entry(name)),
            Some(name) => Err(diagnostics.reject(
                matter.invalid,
                Subject::Annotation(matter.annotation.to_owned()),
                format!("the annotation {} is {}, which is no {}", matter.annotation, quote(name), matter.name),
                &format!("Set it to {}, or remove it.", matter.rule),
            )),
        }
    }

    fn find(self, instance: &'a Instance) -> Option<&'a str> {
        match self {
            Self::Nowhere => None,
            Self::Entry(name) => Some(name),
            Self::Metadata(key) => annotation::find(&instance.metadata, key).filter(|name| !name.is_empty()),
        }
    }
}

/// Where both come from, for all instances of a request.
#[derive(Debug)]
pub(crate) struct Identities<'a> {
    service_account: Source<'a>,
    network: Source<'a>,
}

/// Metadata that are no service accounts or networks, over all endpoints.
#[derive(Debug, Default)]
pub(crate) struct NotPassed<'a> {
    service_accounts: Tally<'a>,
    networks: Tally<'a>,
}

/// The service account and network of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    pub(crate) service_account: Option<&'a str>,
    pub(crate) network: Option<&'a str>,
}

impl<'a> Identities<'a> {
    /// Reads the entry's annotations.
    ///
    /// # Errors
    /// A rejection where one cannot be what it names: without it the entry would say something else, such as plain text.
    pub(crate) fn read(
        annotations: &'a [(String, String)],
        parameters: &'a Parameters,
        diagnostics: &mut Diagnostics,
    ) -> Result<Self, Rejected> {
        let account = parameters.service_account_metadata.as_ref();
        let service_account = Source::of(&SERVICE_ACCOUNT, annotations, account, diagnostics);
        let network = Source::of(&NETWORK, annotations, parameters.network_metadata.as_ref(), diagnostics);
        Ok(Self { service_account: service_account?, network: network? })
    }

    /// Of the instances of one endpoint, by port: the first that has one says it.
    pub(crate) fn of(
        &self,
        instances: impl Iterator<Item = &'a Candidate<'a>> + Clone,
        not_passed: &mut NotPassed<'a>,
    ) -> Identity<'a> {
        let find = |source: Source<'a>, matter: &Matter, invalid: &mut Tally<'a>| {
            if source == Source::Nowhere {
                return None;
            }
            instances.clone().find_map(|candidate| {
                let name = source.find(candidate.instance)?;
                if !(matter.is_valid)(name) {
                    invalid.add(&candidate.instance.host);
                    return None;
                }
                Some(name)
            })
        };
        Identity {
            service_account: find(self.service_account, &SERVICE_ACCOUNT, &mut not_passed.service_accounts),
            network: find(self.network, &NETWORK, &mut not_passed.networks),
        }
    }
}

impl NotPassed<'_> {
    /// One diagnostic for each of the two.
    pub(crate) fn report(&self, diagnostics: &mut Diagnostics) {
        for (matter, tally) in [(SERVICE_ACCOUNT, &self.service_accounts), (NETWORK, &self.networks)] {
            if tally.count() > 0 {
                diagnostics.add(
                    matter.not_passed,
                    Subject::Service,
                    format!(
                        "{} instances have metadata that are no {}, and their endpoints get none from them, among them {}",
                        tally.count(),
                        matter.name,
                        tally.examples()
                    ),
                    &format!("Register {}.", matter.rule),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_accounts() {
        let (longest, long) =
            (["x".repeat(63), "x".repeat(63), "x".repeat(63), "x".repeat(61)].join("."), "x.".repeat(127));
        for (name, expected) in [
            ("default", true),
            ("my-sa.v1", true),
            ("1", true),
            (&longest, true),
            (&format!("{longest}x"), false),
            (&long, false),
            ("", false),
            ("a/b", false),
            ("a_b", false),
            ("Default", false),
            ("-a", false),
            ("a..b", false),
            ("a b", false),
        ] {
            assert_eq!(is_service_account(name), expected, "{name}");
        }
    }

    #[test]
    fn networks() {
        for (name, expected) in [
            ("network-1", true),
            ("VPC_1/a", true),
            ("", false),
            ("a b", false),
            ("a\u{7}", false),
            (&"x".repeat(2048), true),
            (&"x".repeat(2049), false),
        ] {
            assert_eq!(is_network(name), expected, "{name}");
        }
    }
}
