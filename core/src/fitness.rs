//! Which instances may become endpoints, one by one: everything that an instance's own fields decide, health excepted.

use std::borrow::Cow;
use std::rc::Rc;

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostics};
use crate::model::{Instance, Subject};
use crate::parameters::Parameters;
use crate::protocol::{self, Registered};
use crate::quote::quote;

/// An instance that may become an endpoint, or a part of one.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    /// Its position in the request.
    pub(crate) index: u32,
    pub(crate) instance: &'a Instance,
    pub(crate) address: Address<'a>,
    /// Shared by neighbours that registered the same, as most instances of a service do.
    pub(crate) registered: Rc<Registered<'a>>,
    /// The service ports that it serves, once they are known.
    pub(crate) slots: Slots,
}

/// Positions of service ports, at least one, in order. Nearly always it is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    first: usize,
    more: Option<Box<[usize]>>,
}

impl Slots {
    pub(crate) const fn one(slot: usize) -> Self {
        Self { first: slot, more: None }
    }

    /// All of these, if there are any.
    pub(crate) fn of(mut slots: impl Iterator<Item = usize>) -> Option<Self> {
        let first = slots.next()?;
        let more: Vec<usize> = slots.collect();
        Some(Self { first, more: (!more.is_empty()).then(|| more.into_boxed_slice()) })
    }

    pub(crate) const fn first(&self) -> usize {
        self.first
    }

    pub(crate) const fn are_several(&self) -> bool {
        self.more.is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.first).chain(self.more.iter().flat_map(|more| more.iter().copied()))
    }
}

impl Candidate<'_> {
    pub(crate) fn subject(&self) -> Subject {
        Subject::Instance(self.index)
    }

    /// What a message calls it, such as `10.0.0.1:8080`.
    pub(crate) fn name(&self) -> String {
        name(self.instance)
    }

    /// Its protocol, as a message puts it.
    pub(crate) fn protocol_text(&self) -> String {
        match self.instance.protocol.as_str() {
            "" => "no registered protocol".to_owned(),
            registered => format!("protocol {}", quote(registered)),
        }
    }
}

fn name(instance: &Instance) -> String {
    format!("instance {} port {}", quote(&instance.host), instance.port)
}

/// Why an instance is left out.
struct Unfit {
    code: Code,
    what: Cow<'static, str>,
    remedy: &'static str,
}

impl Unfit {
    fn new(code: Code, what: impl Into<Cow<'static, str>>, remedy: &'static str) -> Self {
        Self { code, what: what.into(), remedy }
    }
}

/// The instances that are fit by their own fields, in the request's order; each of the others gets a diagnostic.
/// `asked` is the value of `aeraki.net/protocol`, or empty.
pub(crate) fn candidates<'a>(
    instances: &'a [Instance],
    asked: &str,
    parameters: &Parameters,
    diagnostics: &mut Diagnostics,
) -> Vec<Candidate<'a>> {
    let mut fit: Vec<Candidate<'_>> = Vec::with_capacity(instances.len());
    for (index, instance) in (0..).zip(instances) {
        match judge(instance, asked, parameters) {
            Ok(address) => fit.push(Candidate {
                index,
                instance,
                address,
                registered: match fit.last() {
                    Some(last) if last.instance.protocol == instance.protocol => Rc::clone(&last.registered),
                    _ => Rc::new(Registered::read(&instance.protocol)),
                },
                slots: Slots::default(),
            }),
            Err(unfit) => diagnostics.add(
                unfit.code,
                Subject::Instance(index),
                format!("{} {}", name(instance), unfit.what),
                unfit.remedy,
            ),
        }
    }
    fit
}

fn judge<'a>(instance: &'a Instance, asked: &str, parameters: &Parameters) -> Result<Address<'a>, Unfit> {
    if instance.isolated {
        return Err(Unfit::new(
            Code::InstanceIsolated,
            "is isolated",
            "Lift the isolation in the registry when it may take traffic.",
        ));
    }
    if instance.weight == 0 {
        return Err(Unfit::new(
            Code::InstanceWeightZero,
            "has weight 0",
            "Give it a weight in the registry when it may take traffic.",
        ));
    }
    if instance.port == 0 || instance.port > u32::from(u16::MAX) {
        return Err(Unfit::new(
            Code::InstancePortInvalid,
            "has no port between 1 and 65535",
            "Register it with the port that it listens on.",
        ));
    }
    if !protocol::matches(asked, &instance.protocol) {
        return Err(Unfit::new(
            Code::InstanceOtherProtocol,
            format!("has protocol {}, and aeraki.net/protocol asks for {}", quote(&instance.protocol), quote(asked)),
            "Change the annotation, or make another entry for this protocol, if it is to take traffic.",
        ));
    }
    if let Some((key, value)) = parameters.excludes(&instance.metadata) {
        return Err(Unfit::new(
            Code::InstanceExcluded,
            format!("has the metadata {}={}, which the parameter exclude-metadata names", quote(key), quote(value)),
            "Change the parameter, or what is registered, if it is to take traffic.",
        ));
    }
    address(&instance.host, parameters)
}

fn address<'a>(host: &'a str, parameters: &Parameters) -> Result<Address<'a>, Unfit> {
    let Some(address) = Address::read(host) else {
        return Err(Unfit::new(
            Code::InstanceAddressInvalid,
            "has a host that is neither an IP address nor a DNS name",
            "Register it with its IP address.",
        ));
    };
    if let Some(kind) = address.forbidden()
        && !(parameters.allow_loopback && kind == crate::address::Forbidden::Loopback)
    {
        return Err(Unfit::new(
            Code::InstanceAddressForbidden,
            format!("has {kind} as its host, which would turn the mesh against itself"),
            "Register it with an address that its clients can reach.",
        ));
    }
    let inside = match &address {
        Address::Ip(ip, _) => parameters.permits(*ip),
        // What a name resolves to, and when, is out of sight, so it cannot be shown to lie inside.
        Address::Name(_) => parameters.address_cidrs.is_empty(),
    };
    if !inside {
        return Err(Unfit::new(
            Code::InstanceAddressOutsideCidrs,
            "has a host that is not inside the CIDRs of the parameter address-cidrs",
            "Register it with an address inside them, or widen the parameter.",
        ));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Location;

    fn instance() -> Instance {
        Instance {
            id: "a".into(),
            host: "10.0.0.1".into(),
            port: 8080,
            protocol: "http".into(),
            version: String::new(),
            weight: 100,
            priority: 0,
            healthy: true,
            isolated: false,
            location: Location { region: String::new(), zone: String::new(), campus: String::new() },
            metadata: vec![],
        }
    }

    #[track_caller]
    fn check(change: impl Fn(&mut Instance, &mut Parameters), asked: &str, expected: Option<Code>) {
        let (mut instance, mut parameters, mut diagnostics) =
            (instance(), Parameters::default(), Diagnostics::default());
        change(&mut instance, &mut parameters);
        let fit = candidates(std::slice::from_ref(&instance), asked, &parameters, &mut diagnostics).len();
        let codes: Vec<_> = diagnostics.0.iter().map(|found| found.code.as_str()).collect();
        let expected: Vec<_> = expected.iter().map(|code| code.as_str()).collect();
        assert_eq!((codes.as_slice(), fit), (expected.as_slice(), 1 - expected.len()));
    }

    #[test]
    fn every_reason() {
        check(|_, _| {}, "", None);
        check(|_, _| {}, "HTTP", None);
        check(|i, _| i.healthy = false, "", None);
        check(|i, _| i.isolated = true, "", Some(Code::InstanceIsolated));
        check(|i, _| i.weight = 0, "", Some(Code::InstanceWeightZero));
        check(|i, _| i.port = 0, "", Some(Code::InstancePortInvalid));
        check(|i, _| i.port = 65_536, "", Some(Code::InstancePortInvalid));
        check(|i, _| i.port = 65_535, "", None);
        check(|_, _| {}, "grpc", Some(Code::InstanceOtherProtocol));
        check(|_, _| {}, "any", None);
        let exclude = |p: &mut Parameters, value: &str| p.exclude_metadata = vec![("a".into(), value.into())];
        for (value, expected) in [("b", Some(Code::InstanceExcluded)), ("c", None)] {
            check(
                |i, p| {
                    i.metadata = vec![("a".into(), "b".into())];
                    exclude(p, value);
                },
                "",
                expected,
            );
        }
        check(|_, p| exclude(p, ""), "", None);
        check(|i, _| i.host = "not valid".into(), "", Some(Code::InstanceAddressInvalid));
        check(|i, _| i.host = "orders.example.com".into(), "", None);
        check(|i, _| i.host = "127.0.0.1".into(), "", Some(Code::InstanceAddressForbidden));
        check(
            |i, p| {
                i.host = "127.0.0.1".into();
                p.allow_loopback = true;
            },
            "",
            None,
        );
        check(
            |i, p| {
                i.host = "169.254.169.254".into();
                p.allow_loopback = true;
            },
            "",
            Some(Code::InstanceAddressForbidden),
        );
        let restrict = |p: &mut Parameters| p.address_cidrs = vec!["10.0.0.0/8".parse().unwrap()];
        check(|_, p| restrict(p), "", None);
        for host in ["11.0.0.1", "fd00::1", "orders.example.com"] {
            check(
                |i, p| {
                    i.host = host.into();
                    restrict(p);
                },
                "",
                Some(Code::InstanceAddressOutsideCidrs),
            );
        }
    }
}
