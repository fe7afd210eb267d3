//! The entry's service ports, those that someone declared and those derived earlier, and who serves which.
//!
//! A change of ports costs the whole mesh a full push, so a derived port stays once it is there.

mod derived;

use std::borrow::Cow;

use crate::address::is_dns_label;
use crate::diagnostic::{Code, Diagnostics, Rejected};
use crate::fitness::Candidate;
use crate::model::{Declarer, Entry, EntryPort, Port, Subject};
use crate::protocol::{IstioProtocol, Protocol};
use crate::quote::quote;

/// The longest port name that an endpoint can repeat (the CRD's rule on the keys of `endpoints[].ports`).
const LONGEST_NAME: usize = 62;

const fn is_port(number: u32) -> bool {
    1 <= number && number <= u16::MAX as u32
}

/// Whether an endpoint can name this service port.
fn is_nameable(name: &str) -> bool {
    name.len() <= LONGEST_NAME && is_dns_label(name)
}

/// A service port of the entry.
#[derive(Debug)]
pub(crate) struct ServicePort<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) number: u32,
    pub(crate) target: Option<u32>,
    pub(crate) protocol: Protocol<'a>,
    /// Whether it is the controller's, and so part of the update.
    pub(crate) derived: bool,
    /// Whether the entry does not have it yet.
    new: bool,
    /// Whether endpoints can name it.
    pub(crate) nameable: bool,
}

impl<'a> ServicePort<'a> {
    fn of(port: &'a EntryPort) -> Self {
        Self {
            name: Cow::Borrowed(&port.name),
            number: port.number,
            target: port.target_port.filter(|target| is_port(*target)),
            protocol: Protocol::of_port(&port.name, &port.protocol),
            derived: port.declared_by == Declarer::Controller,
            new: false,
            nameable: is_nameable(&port.name),
        }
    }

    /// Where an endpoint that does not name this port is reached.
    fn default_target(&self) -> u32 {
        self.target.unwrap_or(self.number)
    }

    fn is_at(&self, port: u32) -> bool {
        self.number == port || self.target == Some(port)
    }

    /// As it stands in the update.
    pub(crate) fn to_port(&self) -> Port {
        Port {
            name: self.name.clone().into_owned(),
            number: self.number,
            protocol: self.protocol.istio.as_str().to_owned(),
            target_port: self.target,
        }
    }
}

/// All service ports, by name; a candidate's slot is a position here.
#[derive(Debug)]
pub(crate) struct ServicePorts<'a> {
    pub(crate) list: Vec<ServicePort<'a>>,
    declared: bool,
}

impl<'a> ServicePorts<'a> {
    /// What the entry has. A port derived earlier goes only where a declared one serves its protocol now, or where it
    /// cannot stand beside the others.
    pub(crate) fn of(entry: &'a Entry, diagnostics: &mut Diagnostics) -> Self {
        let (earlier, declared): (Vec<_>, Vec<_>) =
            entry.ports.iter().map(ServicePort::of).partition(|port| port.derived);
        let mut ports = Self { list: Vec::with_capacity(entry.ports.len()), declared: !declared.is_empty() };
        declared.into_iter().for_each(|port| ports.insert(port));
        for port in earlier {
            let clashes = |other: &ServicePort<'_>| other.number == port.number || other.name == port.name;
            let stands = is_port(port.number) && port.nameable && !ports.list.iter().any(clashes);
            let served = |other: &ServicePort<'_>| !other.derived && other.protocol == port.protocol;
            if stands && !ports.list.iter().any(served) {
                ports.insert(port);
            } else {
                report_given_up(&port, stands, diagnostics);
            }
        }
        ports
    }

    /// Whether someone else declared a port, so that none is derived.
    pub(crate) fn are_declared(&self) -> bool {
        self.declared
    }

    /// Keeps the order by name.
    fn insert(&mut self, port: ServicePort<'a>) {
        let place = self.list.partition_point(|other| (&other.name, other.number) < (&port.name, port.number));
        self.list.insert(place, port);
    }

    /// The port of this protocol; of several the one whose number or target the instance has, else the first by name.
    fn of_protocol(&self, protocol: &Protocol<'_>, port: u32) -> Option<usize> {
        let matching = || self.list.iter().enumerate().filter(|(_, service_port)| service_port.protocol == *protocol);
        matching()
            .find(|(_, service_port)| service_port.is_at(port))
            .or_else(|| matching().next())
            .map(|(slot, _)| slot)
    }

    /// The declared port that an instance serves: of its protocol (plain TCP for what Aeraki would read from TCP), or the
    /// only one.
    fn declared_slot(&self, candidate: &Candidate<'_>) -> Option<usize> {
        let port = candidate.instance.port;
        self.of_protocol(&candidate.protocol, port)
            .or_else(|| match candidate.protocol.istio {
                IstioProtocol::Tcp => self.of_protocol(&Protocol::TCP, port),
                _ => None,
            })
            .or_else(|| (self.list.len() == 1).then_some(0))
    }

    /// Gives every candidate its slot, where ports are declared; leaves out who has none.
    pub(crate) fn join_declared(&self, candidates: &mut Vec<Candidate<'_>>, diagnostics: &mut Diagnostics) {
        candidates.retain_mut(|candidate| {
            let Some(slot) = self.declared_slot(candidate) else {
                diagnostics.add(
                    Code::InstancePortUndeclared,
                    candidate.subject(),
                    format!(
                        "{} has protocol {}, and none of the entry's {} ports is for {}",
                        candidate.name(),
                        quote(&candidate.instance.protocol),
                        self.list.len(),
                        candidate.protocol.istio.as_str()
                    ),
                    "Declare a port of that protocol, or let aeraki.net/protocol choose the instances.",
                );
                return false;
            };
            candidate.slot = slot;
            let port = &self.list[slot];
            let reachable = port.nameable || port.default_target() == candidate.instance.port;
            if !reachable {
                diagnostics.add(
                    Code::InstancePortUnnameable,
                    candidate.subject(),
                    format!(
                        "{} serves the port {}, whose name cannot stand in an endpoint, at another port than {}",
                        candidate.name(),
                        quote(&port.name),
                        port.default_target()
                    ),
                    "Give the port a name of at most 62 letters, digits and hyphens.",
                );
            }
            reachable
        });
    }

    /// Refuses what istiod's webhook would: several hosts that a proxy could not tell apart.
    pub(crate) fn check_hosts(&self, entry: &Entry, diagnostics: &mut Diagnostics) -> Result<(), Rejected> {
        if entry.hosts.len() < 2 {
            return Ok(());
        }
        let Some(port) = self.list.iter().find(|port| !port.protocol.istio.tells_hosts_apart()) else {
            return Ok(());
        };
        Err(diagnostics.reject(
            Code::HostsNeedHttp,
            Subject::Port(port.name.to_string()),
            format!(
                "the entry has {} hosts, and port {} is {}, by which Istio cannot tell them apart",
                entry.hosts.len(),
                quote(&port.name),
                port.protocol.istio.as_str()
            ),
            "Make one entry for each host, or let aeraki.net/protocol choose the HTTP instances.",
        ))
    }
}

#[cold]
fn report_given_up(port: &ServicePort<'_>, stands: bool, diagnostics: &mut Diagnostics) {
    diagnostics.add(
        Code::PortGivenUp,
        Subject::Port(port.name.to_string()),
        format!(
            "port {} ({}), derived earlier, is given up: {}",
            quote(&port.name),
            port.number,
            if stands { "a declared port serves its protocol" } else { "its name or number cannot stand" }
        ),
        "",
    );
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn ports(given: &[(&str, u32, &str, Declarer)]) -> Vec<EntryPort> {
        given
            .iter()
            .map(|(name, number, protocol, declared_by)| EntryPort {
                name: (*name).to_owned(),
                number: *number,
                protocol: (*protocol).to_owned(),
                target_port: None,
                declared_by: *declared_by,
            })
            .collect()
    }

    pub(crate) fn entry(given: &[(&str, u32, &str, Declarer)]) -> Entry {
        Entry {
            namespace: "polaris".into(),
            name: "orders".into(),
            labels: vec![],
            annotations: vec![],
            hosts: vec!["dev.orders.polaris".into()],
            addresses: vec![],
            location: None,
            resolution: None,
            export_to: vec![],
            has_workload_selector: false,
            ports: ports(given),
        }
    }

    #[track_caller]
    fn check_of(given: &[(&str, u32, &str, Declarer)], expected: &[&str]) {
        let entry = entry(given);
        let ports = ServicePorts::of(&entry, &mut Diagnostics::default());
        let names: Vec<_> = ports.list.iter().map(|port| port.name.as_ref()).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn keeps_what_was_derived() {
        use Declarer::{Controller, Other};
        check_of(&[("http", 80, "HTTP", Controller), ("grpc", 90, "GRPC", Controller)], &["grpc", "http"]);
        check_of(
            &[("web", 80, "http", Other), ("http", 81, "HTTP", Controller), ("grpc", 90, "GRPC", Controller)],
            &["grpc", "web"],
        );
        check_of(&[("web", 80, "HTTP", Other), ("grpc", 80, "GRPC", Controller)], &["web"]);
        check_of(&[("a_b", 80, "HTTP", Controller), ("grpc", 0, "GRPC", Controller)], &[]);
    }

    #[track_caller]
    fn check_slot(given: &[(&str, u32, &str, Declarer)], protocol: &str, port: u32, expected: Option<&str>) {
        let entry = entry(given);
        let ports = ServicePorts::of(&entry, &mut Diagnostics::default());
        let instance = crate::model::Instance {
            id: String::new(),
            host: "10.0.0.1".into(),
            port,
            protocol: protocol.into(),
            version: String::new(),
            weight: 1,
            priority: 0,
            healthy: true,
            isolated: false,
            location: crate::model::Location { region: String::new(), zone: String::new(), campus: String::new() },
            metadata: vec![],
        };
        let mut candidates = crate::fitness::candidates(
            std::slice::from_ref(&instance),
            "",
            &crate::parameters::Parameters::default(),
            &mut Diagnostics::default(),
        );
        ports.join_declared(&mut candidates, &mut Diagnostics::default());
        let slot = candidates.first().map(|candidate| ports.list[candidate.slot].name.as_ref());
        assert_eq!(slot, expected);
    }

    #[test]
    fn joins_what_is_declared() {
        use Declarer::{Controller, Other};
        let two = [("http", 80, "HTTP", Other), ("grpc", 90, "grpc", Other)];
        check_slot(&two, "gRPC", 5, Some("grpc"));
        check_slot(&two, "http", 5, Some("http"));
        check_slot(&two, "", 80, None);
        let both = [("b", 80, "HTTP", Other), ("a", 81, "HTTP", Other)];
        check_slot(&both, "http", 80, Some("b"));
        check_slot(&both, "http", 5, Some("a"));
        check_slot(&[("web", 80, "HTTP", Other)], "dubbo", 5, Some("web"));
        let tcp = [("tcp", 80, "TCP", Other), ("tcp-dubbo", 90, "TCP", Other)];
        check_slot(&tcp, "dubbo", 5, Some("tcp-dubbo"));
        check_slot(&tcp, "thrift", 5, Some("tcp"));
        check_slot(&tcp, "", 90, Some("tcp"));
        check_slot(
            &[("web", 80, "HTTP", Other), ("tcp-dubbo-1", 1, "TCP", Controller)],
            "dubbo",
            5,
            Some("tcp-dubbo-1"),
        );
        let long = "x".repeat(63);
        check_slot(&[(&long, 80, "HTTP", Other)], "http", 80, Some(&long));
        check_slot(&[(&long, 80, "HTTP", Other)], "http", 81, None);
    }
}
