//! Everything that the rules can say to a person, in one list.
//!
//! Codes are part of the contract: alerts and scripts match on them, so one is never renamed or given another meaning.

use std::fmt;

use crate::model::{Diagnostic, Severity, Subject};

/// Declares the codes once: variant, text, severity and meaning. A table for the documentation comes from [`Code::ALL`].
macro_rules! codes {
    ($($variant:ident, $text:literal, $severity:ident, $meaning:literal;)*) => {
        /// What a diagnostic says, in a form that programs can match on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable text, such as `instance-isolated`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// How much it matters, always the same for one code. Every `error` goes with a rejection.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),* }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

codes! {
    BindingMissing, "binding-missing", Error,
        "An annotation that names the registry's service is missing or empty.";
    BindingTooLong, "binding-too-long", Error,
        "An annotation that names the registry's service is longer than any name there.";
    LocationInvalid, "location-invalid", Error,
        "The annotation `aeraki.net/external` is neither true nor false.";
    ServiceAccountInvalid, "service-account-invalid", Error,
        "The annotation `aeraki.net/serviceAccount` is no name of a service account.";
    NetworkInvalid, "network-invalid", Error,
        "The annotation `aeraki.net/network` is no name of a network.";
    WorkloadSelector, "workload-selector", Error,
        "The entry selects workloads by label, which excludes endpoints.";
    ResolutionUnsupported, "resolution-unsupported", Error,
        "The entry's resolution is DNS_ROUND_ROBIN or DYNAMIC_DNS, which do not take the service's endpoints.";
    HostsNeedHttp, "hosts-need-http", Error,
        "The entry has several hosts and a port that is neither HTTP nor TLS, which Istio refuses.";
    DnsNeedsEndpoints, "dns-needs-endpoints", Error,
        "The entry is DNS with a wildcard host, which Istio refuses without endpoints.";
    TooManyEndpoints, "too-many-endpoints", Error,
        "There are more endpoints than a ServiceEntry holds.";
    TooManyPorts, "too-many-ports", Error,
        "There are more ports than a ServiceEntry, or one of its endpoints, holds.";
    WeightsTooLarge, "weights-too-large", Error,
        "The weights of the endpoints sum up to more than Envoy takes.";
    EntryTooLarge, "entry-too-large", Error,
        "The entry would be larger than the API server stores.";
    InstanceIsolated, "instance-isolated", Info,
        "The instance is isolated in the registry, and left out.";
    InstanceWeightZero, "instance-weight-zero", Info,
        "The instance has weight 0, and is left out.";
    InstanceUnhealthy, "instance-unhealthy", Info,
        "The instance is unhealthy while others of its service port are healthy, and left out.";
    InstanceOtherProtocol, "instance-other-protocol", Info,
        "The instance is not of the protocol that `aeraki.net/protocol` asks for, and left out.";
    InstanceExcluded, "instance-excluded", Info,
        "The instance has metadata that the parameter `exclude-metadata` names, and is left out.";
    InstancePortInvalid, "instance-port-invalid", Warning,
        "The instance's port is 0 or above 65535; it is left out.";
    InstanceAddressInvalid, "instance-address-invalid", Warning,
        "The instance's host is neither an IP address nor a DNS name; it is left out.";
    InstanceAddressForbidden, "instance-address-forbidden", Warning,
        "The instance's host is an address that no endpoint may have (loopback, link-local ...); it is left out.";
    InstanceAddressOutsideCidrs, "instance-address-outside-cidrs", Warning,
        "The instance's host is not inside the CIDRs of the parameter `address-cidrs`; it is left out.";
    InstanceHostName, "instance-host-name", Warning,
        "The instance's host is a name, and the entry's resolution STATIC takes IP addresses only; it is left out.";
    InstancePortUndeclared, "instance-port-undeclared", Warning,
        "No declared port takes the instance's protocol; it is left out.";
    InstancePortAmbiguous, "instance-port-ambiguous", Warning,
        "Several declared ports take the instance's protocol, and neither its registered name nor its number tells which; it is left out.";
    InstancePortUnnameable, "instance-port-unnameable", Warning,
        "The declared port's name cannot stand in an endpoint, so the instance's own port cannot be given; it is left out.";
    InstanceDuplicate, "instance-duplicate", Warning,
        "Another instance has the same address, port and protocol; this one is left out.";
    NoEndpoints, "no-endpoints", Warning,
        "No instance can take traffic; the entry has no endpoints and keeps its ports and resolution.";
    RecoverAll, "recover-all", Warning,
        "No instance of the service port is healthy, so all that are otherwise fit stay, as in Polaris's own SDKs.";
    ProtectThreshold, "protect-threshold", Warning,
        "Fewer instances of the service port are healthy than the service's protect threshold asks for, so all that are otherwise fit stay.";
    ProtectThresholdInvalid, "protect-threshold-invalid", Warning,
        "The service's protect threshold is no share between 0 and 1, and counts as 0.";
    ResolutionPlaceholder, "resolution-placeholder", Warning,
        "The entry's resolution is NONE or unset: it is replaced when endpoints come, and istiod allocates no address.";
    AddressesForbidDns, "addresses-forbid-dns", Warning,
        "All instances have host names, and the entry's CIDR addresses forbid the resolution DNS that they need.";
    PhantomPort, "phantom-port", Warning,
        "Some endpoints do not serve this port, and Istio sends its traffic to them all the same.";
    WeightsDiffer, "weights-differ", Warning,
        "Instances of one address have unlike weights, and an endpoint has one: that of the instance with the lowest port.";
    NamesMixed, "names-mixed", Warning,
        "One service port takes instances of one address that were registered under unlike port names.";
    PortDerived, "port-derived", Info,
        "The entry declares no ports, and this one was derived from the instances.";
    PortGivenUp, "port-given-up", Info,
        "A port that was derived earlier is given up, because a declared one serves its protocol, or it cannot stand.";
    ProtocolUnknown, "protocol-unknown", Info,
        "Istio does not know these protocols; the instances are served as TCP.";
    LabelsInvalid, "labels-invalid", Warning,
        "Instance metadata that are no valid labels are not passed on.";
    LabelsReserved, "labels-reserved", Info,
        "Instance metadata under keys of Istio or Kubernetes are not passed on.";
    ServiceAccountsNotPassed, "service-accounts-not-passed", Warning,
        "Instance metadata under the parameter `service-account-metadata` are no service accounts, and not passed on.";
    ServiceAccountExternal, "service-account-external", Warning,
        "The endpoints have a service account and the entry is MESH_EXTERNAL, to which Istio speaks plain text all the same.";
    NetworksNotPassed, "networks-not-passed", Warning,
        "Instance metadata under the parameter `network-metadata` are no networks, and not passed on.";
    LocalityInvalid, "locality-invalid", Warning,
        "Parts of instance locations that contain a slash or are too long are not passed on.";
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A diagnostic with the code's severity.
#[cold]
pub fn diagnostic(code: Code, subject: Subject, message: String, remedy: &str) -> Diagnostic {
    Diagnostic {
        severity: code.severity(),
        code: code.as_str().to_owned(),
        subject,
        message,
        remedy: remedy.to_owned(),
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics(pub(crate) Vec<Diagnostic>);

impl Diagnostics {
    #[cold]
    pub(crate) fn add(&mut self, code: Code, subject: Subject, message: String, remedy: &str) {
        self.0.push(diagnostic(code, subject, message, remedy));
    }

    /// The entry cannot be served; to be returned as the error.
    #[cold]
    pub(crate) fn reject(&mut self, code: Code, subject: Subject, message: String, remedy: &str) -> Rejected {
        debug_assert_eq!(code.severity(), Severity::Error);
        self.add(code, subject, message, remedy);
        Rejected
    }
}

/// The entry or the answer is unfit; the diagnostics say why.
#[derive(Debug)]
pub(crate) struct Rejected;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_unique() {
        for (position, code) in Code::ALL.iter().enumerate() {
            let text = code.as_str();
            assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{text}");
            assert!(!Code::ALL[..position].iter().any(|earlier| earlier.as_str() == text), "{text} twice");
        }
    }
}
