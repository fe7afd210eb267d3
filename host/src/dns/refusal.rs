//! The reasons why a host has no record, and their remedies.

use polaris2istio_core::address::Forbidden;

use super::mode::UnknownMode;
use crate::annotation::DNS;

/// A host of an entry that the cluster's DNS cannot be made to resolve.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unfit {
    /// A label is too long.
    #[error("a label has {0} characters; a Service or hostname has 63 at most")]
    Long(usize),
    /// A label cannot be the name of a Service or the hostname of an endpoint.
    #[error("`{0}` is not a DNS label of lower-case letters, digits and hyphens")]
    Label(String),
    /// It ends in something else than the entry's namespace.
    #[error("it does not end in `.{0}`, the entry's namespace, which the search list of pods completes")]
    Namespace(String),
    /// It has too many labels, or only one.
    #[error("it has {0} labels; `<name>.<service>.<namespace>` has three")]
    Depth(usize),
    /// A Service's name starts with a letter.
    #[error("a Service named `{0}` must start with a letter")]
    Digit(String),
    /// Two labels, and the mode has records alone.
    #[error(
        "it has two labels, for which there can be only an alias; set {DNS} to cname, or name it `<name>.<service>.<namespace>`"
    )]
    Flat,
}

/// The reasons why a record is missing or incomplete.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The annotation cannot be read.
    #[error("annotation {DNS}: {0}; what is published for the entry stays as it is until that is mended")]
    Mode(String),
    /// The host does not fit.
    #[error("host {host}: no record: {unfit}")]
    Host { host: String, unfit: Unfit },
    /// There is no virtual IP, yet or at all.
    #[error("host {host}: no record: the entry has no virtual IP ({reason})")]
    NoAddress {
        host: String,
        /// The reason, and the remedy.
        reason: &'static str,
    },
    /// The entry has no endpoint that can be published.
    #[error("host {host}: no record: the entry has no endpoint with an IP address")]
    NoEndpoint { host: String },
    /// An address that no record may have.
    #[error("host {host}: {address} is not published: it is {kind}")]
    Address { host: String, address: String, kind: Forbidden },
    /// More endpoints than an answer should have.
    #[error("host {host}: {count} endpoints, of which the first {published} of each family are published")]
    Capped {
        host: String,
        /// The number of endpoints.
        count: usize,
        /// The number of published endpoints.
        published: usize,
    },
    /// An alias leads nowhere that the cluster's DNS serves.
    #[error("host {host}: no alias: {detail}")]
    Target {
        host: String,
        /// The problem, and the remedy.
        detail: String,
    },
    /// Another entry's records need the Service's name.
    #[error("host {host}: no alias: records of other hosts need the Service `{service}`")]
    Taken { host: String, service: String },
}

impl From<UnknownMode> for Refusal {
    fn from(error: UnknownMode) -> Self {
        Self::Mode(error.to_string())
    }
}

impl Refusal {
    /// Whether it passes by itself, as it does for every new entry.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::NoAddress { .. } | Self::NoEndpoint { .. })
    }

    /// A stable name, for logs and `explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Mode(_) => "dns-annotation",
            Self::Host { .. } => "dns-host",
            Self::NoAddress { .. } => "dns-no-address",
            Self::NoEndpoint { .. } => "dns-no-endpoint",
            Self::Address { .. } => "dns-address",
            Self::Capped { .. } => "dns-capped",
            Self::Target { .. } => "dns-target",
            Self::Taken { .. } => "dns-taken",
        }
    }
}
