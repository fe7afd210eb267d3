//! The entry's service ports, those that someone declared and those derived earlier.
//!
//! A change of ports costs the whole mesh a full push, so a derived port stays once it is there.

mod declared;
mod derived;
mod fit;

use std::borrow::Cow;

use crate::address::is_dns_label;
use crate::diagnostic::{Code, Diagnostics, Rejected};
use crate::model::{Declarer, Entry, EntryPort, Port, Subject};
use crate::protocol::{LONGEST_PORT_NAME, Protocol};
use crate::quote::quote;

const fn is_port(number: u32) -> bool {
    1 <= number && number <= u16::MAX as u32
}

/// Whether an endpoint can name this service port.
fn is_nameable(name: &str) -> bool {
    name.len() <= LONGEST_PORT_NAME && is_dns_label(name)
}

/// A service port of the entry.
#[derive(Debug)]
pub(crate) struct ServicePort<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) number: u32,
    pub(crate) target: Option<u32>,
    /// TCP where none is declared.
    pub(crate) protocol: Protocol<'a>,
    /// Whether it declares no protocol.
    is_open: bool,
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
            is_open: port.protocol.is_empty(),
            derived: port.declared_by == Declarer::Controller,
            new: false,
            nameable: is_nameable(&port.name),
        }
    }

    /// Where an endpoint that does not name this port is reached.
    pub(crate) fn default_target(&self) -> u32 {
        self.target.unwrap_or(self.number)
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

    /// Its name in messages, such as `"web" (80 HTTP)`.
    fn describe(&self) -> String {
        let protocol = if self.is_open { "no protocol" } else { self.protocol.istio.as_str() };
        match self.target {
            Some(target) => format!("{} ({} {protocol}, targetPort {target})", quote(&self.name), self.number),
            None => format!("{} ({} {protocol})", quote(&self.name), self.number),
        }
    }
}

/// All service ports, by name; a candidate's slots are positions here.
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
            let serves = |other: &ServicePort<'_>| !other.derived && other.protocol.is_alike(&port.protocol);
            let server = ports.list.iter().find(|other| serves(other));
            if stands && server.is_none() {
                ports.insert(port);
            } else {
                report_given_up(&port, server.filter(|_| stands), diagnostics);
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
fn report_given_up(port: &ServicePort<'_>, server: Option<&ServicePort<'_>>, diagnostics: &mut Diagnostics) {
    let reason = match server {
        Some(server) => format!("the declared port {} serves its protocol", server.describe()),
        None => "its name or number cannot stand".to_owned(),
    };
    diagnostics.add(
        Code::PortGivenUp,
        Subject::Port(port.name.to_string()),
        format!("port {} ({}), derived earlier, is given up: {reason}", quote(&port.name), port.number),
        "Declare it, too, where it is to stay.",
    );
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fitness::Candidate;
    use crate::model::Instance;
    use crate::parameters::Parameters;

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

    pub(crate) fn instance(protocol: &str, port: u32) -> Instance {
        Instance {
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
        }
    }

    pub(crate) fn candidates(instances: &[Instance]) -> Vec<Candidate<'_>> {
        crate::fitness::candidates(instances, "", &Parameters::default(), &mut Diagnostics::default())
    }

    /// The names of the ports that a candidate serves.
    pub(crate) fn served(ports: &ServicePorts<'_>, candidate: &Candidate<'_>) -> Vec<String> {
        candidate.slots.iter().map(|slot| ports.list[slot].name.to_string()).collect()
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
        check_of(&[("web", 80, "TLS", Other), ("https", 81, "HTTPS", Controller)], &["web"]);
        check_of(&[("web", 80, "TCP", Other), ("tcp-dubbo-1", 1, "TCP", Controller)], &["tcp-dubbo-1", "web"]);
        check_of(&[("web", 80, "HTTP", Other), ("grpc", 80, "GRPC", Controller)], &["web"]);
        check_of(&[("a_b", 80, "HTTP", Controller), ("grpc", 0, "GRPC", Controller)], &[]);
        let long = "x".repeat(63);
        check_of(&[(&long, 80, "HTTP", Controller), ("x", 65_536, "HTTP", Controller)], &[]);
        let (longest, last) = ("x".repeat(62), u32::from(u16::MAX));
        check_of(&[(&longest, 1, "HTTP", Controller), ("y", last, "HTTP", Controller)], &[&longest, "y"]);
    }
}
