//! `spec.resolution`: an operator's choice stands; NONE and nothing are placeholders until there are endpoints.

use crate::diagnostic::{Code, Diagnostics, Rejected};
use crate::fitness::Candidate;
use crate::model::{Entry, Resolution, Subject};

fn field() -> Subject {
    Subject::Field("spec.resolution".to_owned())
}

/// Refuses what can take no endpoints of a registry's service.
pub(crate) fn check(entry: &Entry, diagnostics: &mut Diagnostics) -> Result<(), Rejected> {
    let name = match entry.resolution {
        Some(Resolution::DnsRoundRobin) => "DNS_ROUND_ROBIN",
        Some(Resolution::DynamicDns) => "DYNAMIC_DNS",
        None | Some(Resolution::None | Resolution::Static | Resolution::Dns) => return Ok(()),
    };
    Err(diagnostics.reject(
        Code::ResolutionUnsupported,
        field(),
        format!("spec.resolution is {name}, which cannot hold the endpoints of a service"),
        "Set it to STATIC, or to DNS for instances that register host names.",
    ))
}

fn is_placeholder(entry: &Entry) -> bool {
    matches!(entry.resolution, None | Some(Resolution::None))
}

/// Whether the endpoints are DNS or STATIC, which decides over instances with host names.
///
/// A placeholder becomes DNS only where all that could take traffic have names, and as it is no placeholder afterwards,
/// no later registration changes the kind.
pub(crate) fn kind(entry: &Entry, candidates: &[Candidate<'_>], diagnostics: &mut Diagnostics) -> Resolution {
    if !is_placeholder(entry) {
        return entry.resolution.unwrap_or(Resolution::Static);
    }
    if candidates.is_empty() || !candidates.iter().all(|candidate| candidate.address.is_name()) {
        return Resolution::Static;
    }
    // The API server takes CIDR addresses with NONE and STATIC only.
    if let Some(cidr) = entry.addresses.iter().find(|address| address.contains('/')) {
        diagnostics.add(
            Code::AddressesForbidDns,
            Subject::Field("spec.addresses".to_owned()),
            format!(
                "all instances have host names, which need the resolution DNS, and the CIDR {} in spec.addresses forbids it",
                crate::quote::quote(cidr)
            ),
            "Replace the CIDR by single addresses, or register the instances with IP addresses.",
        );
        return Resolution::Static;
    }
    Resolution::Dns
}

/// Leaves out host names where the resolution is not DNS.
pub(crate) fn retain(kind: Resolution, candidates: &mut Vec<Candidate<'_>>, diagnostics: &mut Diagnostics) {
    if kind == Resolution::Dns {
        return;
    }
    candidates.retain(|candidate| {
        let fits = !candidate.address.is_name();
        if !fits {
            diagnostics.add(
                Code::InstanceHostName,
                candidate.subject(),
                format!("{} has a host name, and the resolution STATIC takes IP addresses only", candidate.name()),
                "Register it with its IP address, or set spec.resolution of the entry to DNS.",
            );
        }
        fits
    });
}

/// What the entry should say, and a word where it says nothing yet.
///
/// # Errors
/// DNS without endpoints resolves the entry's own hosts, which istiod refuses where one is a wildcard.
pub(crate) fn settle(
    entry: &Entry,
    kind: Resolution,
    has_endpoints: bool,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Resolution>, Rejected> {
    if is_placeholder(entry) {
        let now = if entry.resolution.is_none() { "not set" } else { "NONE" };
        let name = if kind == Resolution::Dns { "DNS" } else { "STATIC" };
        let becomes = if has_endpoints {
            format!("it becomes {name} with the first endpoints")
        } else {
            "it is replaced when there are endpoints".to_owned()
        };
        diagnostics.add(
            Code::ResolutionPlaceholder,
            field(),
            format!("spec.resolution is {now}: {becomes}, and istiod allocates no address for the entry before that"),
            &format!(
                "Write resolution: {name} into the entry's file: one that says NONE is refused when applied again, and an allocated address is lost for good whenever an entry says NONE."
            ),
        );
    }
    if has_endpoints {
        return Ok(Some(kind));
    }
    if entry.resolution == Some(Resolution::Dns)
        && let Some(host) = entry.hosts.iter().find(|host| host.contains('*'))
    {
        return Err(diagnostics.reject(
            Code::DnsNeedsEndpoints,
            Subject::Field("spec.hosts".to_owned()),
            format!("there are no endpoints, and Istio refuses the host {} with DNS then", crate::quote::quote(host)),
            "Set spec.resolution to STATIC, or name the hosts in full.",
        ));
    }
    Ok(entry.resolution)
}
