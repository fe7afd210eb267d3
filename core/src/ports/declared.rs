//! Who serves the ports that an entry's operator declared. That depends on the instance and the entry alone: who else is
//! registered changes nothing.

use super::fit::Fit;
use super::{ServicePort, ServicePorts};
use crate::diagnostic::{Code, Diagnostics};
use crate::fitness::{Candidate, Slots};
use crate::protocol::IstioProtocol;

/// How many ports a message names.
const NAMED: usize = 4;

/// Why an instance joins no port.
enum Unjoined {
    /// No port takes its protocol.
    NoneFits,
    /// Several do, and nothing tells which.
    Ambiguous(Vec<usize>),
}

impl ServicePorts<'_> {
    /// Gives every candidate its slots, where ports are declared; leaves out who has none. `any` is whether every port
    /// takes any protocol.
    pub(crate) fn join_declared(&self, candidates: &mut Vec<Candidate<'_>>, any: bool, diagnostics: &mut Diagnostics) {
        // Most instances of a service are alike.
        let mut last: Option<(&str, u32, Slots)> = None;
        candidates.retain_mut(|candidate| {
            let (protocol, port) = (candidate.instance.protocol.as_str(), candidate.instance.port);
            if let Some((same, at, slots)) = &last
                && *at == port
                && *same == protocol
            {
                candidate.slots = slots.clone();
                return true;
            }
            match self.declared_slots(candidate, any) {
                Ok(slots) => candidate.slots = slots,
                Err(unjoined) => {
                    self.report_unjoined(candidate, unjoined, diagnostics);
                    return false;
                }
            }
            let joins = self.check_reachable(candidate, diagnostics);
            if joins {
                last = Some((protocol, port, candidate.slots.clone()));
            }
            joins
        });
    }

    /// Of the declared ports that fit, the one whose name was registered; else all that lead to the instance's own port; else
    /// the port that was derived for just such instances; else the only declared one, or the only one that is for just this
    /// protocol.
    fn declared_slots(&self, candidate: &Candidate<'_>, any: bool) -> Result<Slots, Unjoined> {
        let (registered, number) = (&candidate.registered, candidate.instance.port);
        let fitting: Vec<(usize, &ServicePort<'_>, Fit)> = self
            .list
            .iter()
            .enumerate()
            .filter(|(_, port)| !port.derived)
            .filter_map(|(slot, port)| Some((slot, port, port.fit(registered, any)?)))
            .collect();
        if let Some((slot, ..)) = fitting.iter().find(|(_, port, _)| port.is_named(registered)) {
            return Ok(Slots::one(*slot));
        }
        let leads_there = fitting.iter().filter(|(_, port, _)| port.default_target() == number);
        if let Some(slots) = Slots::of(leads_there.map(|(slot, ..)| *slot)) {
            return Ok(slots);
        }
        if let Some(slot) = self.own_slot(registered, number) {
            return Ok(Slots::one(slot));
        }
        let best = fitting.iter().map(|(.., fit)| *fit).max();
        let best: Vec<_> = fitting.iter().filter(|(.., fit)| Some(*fit) == best).collect();
        // Of several ports for its protocol, one may bear the protocol's very name.
        let by_word = |(_, port, _): &&&(usize, &ServicePort<'_>, Fit)| {
            port.name.eq_ignore_ascii_case(&registered.protocol.stem()) && !registered.says_nothing()
        };
        match best.as_slice() {
            [] => Err(Unjoined::NoneFits),
            [(slot, ..)] => Ok(Slots::one(*slot)),
            several => match several.iter().find(by_word) {
                Some((slot, ..)) if registered.port_name().is_none() => Ok(Slots::one(*slot)),
                _ => Err(Unjoined::Ambiguous(several.iter().map(|(slot, ..)| *slot).collect())),
            },
        }
    }

    /// Takes the ports away at which the instance cannot be reached; leaves it out where none remains.
    fn check_reachable(&self, candidate: &mut Candidate<'_>, diagnostics: &mut Diagnostics) -> bool {
        let number = candidate.instance.port;
        let is_reachable = |slot: &usize| self.list[*slot].nameable || self.list[*slot].default_target() == number;
        if candidate.slots.iter().all(|slot| is_reachable(&slot)) {
            return true;
        }
        let port = &self.list[candidate.slots.first()];
        if let Some(slots) = Slots::of(candidate.slots.iter().filter(is_reachable)) {
            candidate.slots = slots;
            return true;
        }
        diagnostics.add(
            Code::InstancePortUnnameable,
            candidate.subject(),
            format!(
                "{} serves the port {}, whose name cannot stand in an endpoint, at another port than {}",
                candidate.name(),
                port.describe(),
                port.default_target()
            ),
            "Give the port a name of at most 62 letters, digits and hyphens.",
        );
        false
    }

    #[cold]
    fn report_unjoined(&self, candidate: &Candidate<'_>, unjoined: Unjoined, diagnostics: &mut Diagnostics) {
        let name = candidate.name();
        let registered = candidate.protocol_text();
        match unjoined {
            Unjoined::NoneFits => diagnostics.add(
                Code::InstancePortUndeclared,
                candidate.subject(),
                format!(
                    "{name} has {registered}, which fits no port that the entry declares: {}",
                    self.describe(&self.declared_list())
                ),
                &self.none_fits_remedy(candidate),
            ),
            Unjoined::Ambiguous(slots) => diagnostics.add(
                Code::InstancePortAmbiguous,
                candidate.subject(),
                format!(
                    "{name} has {registered}, which fits several ports of the entry and none by name or number: {}",
                    self.describe(&slots)
                ),
                &format!(
                    "Give one of them targetPort {}, or register the instance with the port's name as its protocol, such as {}/TCP.",
                    candidate.instance.port,
                    slots.first().map_or("", |slot| &self.list[*slot].name)
                ),
            ),
        }
    }

    fn none_fits_remedy(&self, candidate: &Candidate<'_>) -> String {
        let (protocol, number) = (&candidate.registered.protocol, candidate.instance.port);
        let mut name = candidate.registered.own_port_name().unwrap_or_else(|| protocol.port_name(number).into());
        if self.list.iter().any(|port| port.name == name) {
            name = format!("{name}-{number}").into();
        }
        let declare = format!(
            "Declare a port for it, such as name {name}, protocol {}, targetPort {number}",
            protocol.istio.as_str()
        );
        if protocol.istio == IstioProtocol::Udp {
            return format!("{declare}.");
        }
        format!(
            "{declare}; or, where a declared port is to take it all the same, set the annotation aeraki.net/protocol to any."
        )
    }

    fn declared_list(&self) -> Vec<usize> {
        (0..self.list.len()).filter(|slot| !self.list[*slot].derived).collect()
    }

    fn describe(&self, slots: &[usize]) -> String {
        let named: Vec<_> = slots.iter().take(NAMED).map(|slot| self.list[*slot].describe()).collect();
        let named = named.join(", ");
        match slots.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named} and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Declarer;
    use crate::model::Declarer::{Controller, Other};
    use crate::ports::tests::{candidates, entry, instance, served};

    type Given<'a> = (&'a str, u32, &'a str, Declarer);

    #[track_caller]
    fn check_any(any: bool, given: &[Given<'_>], protocol: &str, port: u32, expected: &[&str]) {
        let entry = entry(given);
        let ports = ServicePorts::of(&entry, &mut Diagnostics::default());
        let instances = [instance(protocol, port)];
        let mut joined = candidates(&instances);
        let mut diagnostics = Diagnostics::default();
        ports.join_declared(&mut joined, any, &mut diagnostics);
        let found: Vec<_> = joined.iter().flat_map(|candidate| served(&ports, candidate)).collect();
        assert_eq!(found, expected, "{protocol} {port}");
        assert_eq!(diagnostics.0.len(), usize::from(expected.is_empty()));
        for found in diagnostics.0 {
            assert!(found.message.contains(&port.to_string()) && found.message.contains(given[0].0), "{found:?}");
            assert!(!found.remedy.is_empty(), "{found:?}");
        }
    }

    #[track_caller]
    fn check(given: &[Given<'_>], protocol: &str, port: u32, expected: &[&str]) {
        check_any(false, given, protocol, port, expected);
    }

    #[test]
    fn one_port_takes_what_fits() {
        let http = [("web", 80, "HTTP", Other)];
        check(&http, "http", 8080, &["web"]);
        check(&http, "", 8080, &["web"]);
        check(&http, "http-admin/TCP", 8081, &["web"]);
        for other in ["dubbo", "grpc", "grpc/TCP", "tcp", "kafka/TCP", "ws", "udp", "dns/UDP", "https"] {
            check(&http, other, 80, &[]);
        }
        check(&[("p", 80, "", Other)], "dubbo", 8080, &["p"]);
        check(&[("p", 80, "", Other)], "udp", 80, &[]);
        check(&[("p", 80, "UDP", Other)], "", 80, &[]);
        check(&[("p", 80, "UDP", Other), ("web", 81, "HTTP", Other)], "", 5, &["web"]);
    }

    #[test]
    fn by_name_then_number_then_the_only_one() {
        let two = [("http-web", 80, "HTTP", Other), ("http-admin", 81, "HTTP", Other)];
        check(&two, "http-web/TCP", 8080, &["http-web"]);
        check(&two, "HTTP-Admin/TCP", 8080, &["http-admin"]);
        check(&two, "http-web", 81, &["http-web"]);
        check(&two, "http", 81, &["http-admin"]);
        check(&two, "http-other/TCP", 81, &["http-admin"]);
        check(&two, "http", 8080, &[]);
        check(&two, "", 8080, &[]);
        check(&two, "http-other/TCP", 8080, &[]);
        check(&[("web", 80, "HTTP", Other), ("admin", 81, "HTTP", Other)], "admin/TCP", 8080, &["admin"]);
        let both = [("http", 80, "HTTP", Other), ("grpc", 90, "grpc", Other)];
        check(&both, "gRPC", 5, &["grpc"]);
        check(&both, "http", 90, &["http"]);
        check(&both, "", 80, &["http"]);
        check(&both, "", 5, &[]);
        check(&both, "dubbo", 80, &[]);
    }

    #[test]
    fn the_nearest_of_several() {
        let tcp = [("tcp", 80, "TCP", Other), ("tcp-dubbo", 90, "TCP", Other)];
        check(&tcp, "dubbo", 5, &["tcp-dubbo"]);
        check(&tcp, "dubbo", 80, &["tcp"]);
        check(&tcp, "thrift", 5, &["tcp"]);
        check(&tcp, "", 90, &["tcp-dubbo"]);
        check(&tcp, "ws", 5, &["tcp"]);
        let open = [("http-web", 80, "", Other), ("grpc-api", 90, "", Other)];
        check(&open, "http", 8080, &["http-web"]);
        check(&open, "grpc", 9090, &["grpc-api"]);
        check(&open, "dubbo", 9090, &[]);
        check(&open, "", 9090, &[]);
        let named = [("http", 80, "HTTP", Other), ("http-admin", 81, "HTTP", Other)];
        check(&named, "http", 8080, &["http"]);
        check(&named, "http", 81, &["http-admin"]);
        check(&named, "http-x/TCP", 8080, &[]);
        check(&named, "", 8080, &[]);
        let tls = [("https", 443, "HTTPS", Other), ("tls", 444, "TLS", Other)];
        check(&tls, "https", 8443, &["https"]);
        check(&tls, "tls", 443, &["https"]);
    }

    #[test]
    fn any_protocol() {
        let two = [("http", 80, "HTTP", Other), ("grpc", 90, "GRPC", Other)];
        check_any(true, &two, "dubbo", 90, &["grpc"]);
        check_any(true, &two, "dubbo", 5, &[]);
        check_any(true, &two, "http", 5, &["http"]);
        check_any(true, &two[..1], "dubbo", 5, &["http"]);
        check_any(true, &two[..1], "udp", 80, &[]);
        check_any(true, &[("p", 80, "UDP", Other)], "http", 80, &[]);
    }

    #[test]
    fn all_that_lead_to_its_port() {
        let mut entry = entry(&[("a", 80, "HTTP", Other), ("b", 8080, "HTTP", Other), ("c", 81, "HTTP", Other)]);
        entry.ports[0].target_port = Some(8080);
        entry.ports[2].target_port = Some(9);
        let ports = ServicePorts::of(&entry, &mut Diagnostics::default());
        for (port, expected) in [(8080, &["a", "b"][..]), (9, &["c"]), (80, &[]), (81, &[])] {
            let instances = [instance("http", port)];
            let mut joined = candidates(&instances);
            ports.join_declared(&mut joined, false, &mut Diagnostics::default());
            let found: Vec<_> = joined.iter().flat_map(|candidate| served(&ports, candidate)).collect();
            assert_eq!(found, expected, "{port}");
        }
    }

    /// Ports derived for others than the declared ones serve stay, for just those.
    #[test]
    fn derived_ones_beside_declared_ones() {
        let given =
            [("web", 80, "HTTP", Other), ("tcp-dubbo-1", 1, "TCP", Controller), ("grpc-a", 2, "GRPC", Controller)];
        check(&given, "dubbo", 5, &["tcp-dubbo-1"]);
        check(&given, "thrift", 5, &[]);
        check(&given, "grpc-a/TCP", 5, &["grpc-a"]);
        check(&given, "grpc-b/TCP", 5, &[]);
        check(&given, "http", 5, &["web"]);
        let kept = ("tcp", 3, "TCP", Controller);
        check(&[given[0], kept], "web/TCP", 5, &["web"]);
        check(&[given[0], kept], "", 80, &["web"]);
        check(&[given[0], kept], "", 5, &["tcp"]);
        check(&[given[0], kept], "ws", 5, &[]);
    }

    #[test]
    fn names_that_endpoints_cannot_bear() {
        let long = "x".repeat(63);
        check(&[(&long, 80, "HTTP", Other)], "http", 80, &[&long]);
        let entry = entry(&[(&long, 80, "HTTP", Other)]);
        let ports = ServicePorts::of(&entry, &mut Diagnostics::default());
        let instances = [instance("http", 81), instance("http", 80)];
        let mut joined = candidates(&instances);
        let mut diagnostics = Diagnostics::default();
        ports.join_declared(&mut joined, false, &mut diagnostics);
        assert_eq!(joined.len(), 1);
        assert_eq!(diagnostics.0[0].code, "instance-port-unnameable");
    }
}
