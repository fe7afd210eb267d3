//! Ports for an entry that declares none: one for each port name that was registered, else for each protocol, named after
//! it and numbered as most instances are.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::{ServicePort, ServicePorts};
use crate::diagnostic::{Code, Diagnostics, Rejected};
use crate::fitness::{Candidate, Slots};
use crate::limits;
use crate::model::Subject;
use crate::protocol::{Application, LONGEST_PORT_NAME, Protocol, Registered};

/// The purpose of a derived port: all instances of one protocol, or those of them that registered one name.
type Kind<'a> = (Option<Cow<'a, str>>, Protocol<'a>);

impl<'a> ServicePorts<'a> {
    /// Gives every candidate its slot, where none is declared, deriving the ports that are not there yet.
    ///
    /// # Errors
    /// A rejection where more ports would be needed than an entry holds.
    pub(crate) fn derive(
        &mut self,
        candidates: &mut [Candidate<'a>],
        diagnostics: &mut Diagnostics,
    ) -> Result<(), Rejected> {
        // Ports by name come first: one of them may take a name that another of them, or a protocol's port, would have.
        for named in [true, false] {
            self.add_missing(candidates, named);
        }
        if self.list.len() > limits::PORTS {
            return Err(diagnostics.reject(
                Code::TooManyPorts,
                Subject::Field("spec.ports".to_owned()),
                format!("{} ports would be needed, and a ServiceEntry holds {}", self.list.len(), limits::PORTS),
                "Let aeraki.net/protocol choose the instances of one protocol, or declare the ports that are to be served.",
            ));
        }
        let mut last: Option<(&str, u32, usize)> = None;
        for candidate in candidates {
            let (protocol, port) = (candidate.instance.protocol.as_str(), candidate.instance.port);
            let slot = match last {
                Some((same, at, slot)) if at == port && same == protocol => slot,
                // All have one by now.
                _ => self.own_slot(&candidate.registered, port).unwrap_or_default(),
            };
            last = Some((protocol, port, slot));
            candidate.slots = Slots::one(slot);
        }
        Ok(())
    }

    /// The port that is derived for such an instance, if it is there: of its registered name, else of its protocol.
    pub(super) fn own_slot(&self, registered: &Registered<'_>, number: u32) -> Option<usize> {
        if self.list.iter().all(|port| !port.derived) {
            return None;
        }
        let protocol = &registered.protocol;
        match self.kind(registered).0 {
            Some(name) => self.list.iter().position(|port| port.derived && port.name == name),
            None => self.of_protocol(protocol, number),
        }
    }

    /// The purpose of such an instance's own port. Where its name is another protocol's, it counts without one.
    fn kind<'b>(&self, registered: &Registered<'b>) -> Kind<'b> {
        let protocol = &registered.protocol;
        let is_foreign = |name: &Cow<'_, str>| {
            self.list.iter().any(|port| port.name == *name && !(port.derived && port.protocol == *protocol))
        };
        (registered.own_port_name().filter(|name| !is_foreign(name)), protocol.clone())
    }

    /// The port of all that registered no name: by the protocol's own name, or with a number behind it, as Aeraki's have
    /// it, those that the original tool wrote, and those whose name was taken.
    fn of_protocol(&self, protocol: &Protocol<'_>, number: u32) -> Option<usize> {
        let stem = protocol.stem();
        let is_taken = self.list.iter().any(|port| port.name == stem && !(port.derived && port.protocol == *protocol));
        let counts_new = is_taken || protocol.application != Application::Plain;
        let mut numbered = None;
        for (slot, port) in self.list.iter().enumerate() {
            if !port.derived || port.protocol != *protocol {
                continue;
            }
            match port.name.strip_prefix(&*stem) {
                Some("") => return Some(slot),
                Some(rest) if is_number(rest, port.number) => {
                    let is_better = numbered.is_none() || port.default_target() == number;
                    if (counts_new || !port.new) && is_better {
                        numbered = Some(slot);
                    }
                }
                _ => {}
            }
        }
        numbered
    }

    /// Derives the ports that candidates lack: those by name, or those of a protocol.
    fn add_missing(&mut self, candidates: &[Candidate<'a>], named: bool) {
        let mut unserved: Vec<(Kind<'a>, u32)> = candidates
            .iter()
            .filter(|candidate| self.own_slot(&candidate.registered, candidate.instance.port).is_none())
            .map(|candidate| (self.kind(&candidate.registered), candidate.instance.port))
            .filter(|((name, _), _)| name.is_some() == named)
            .collect();
        unserved.sort_unstable();
        for group in unserved.chunk_by(|a, b| a.0 == b.0) {
            let is_taken = |name: &Cow<'_, str>| self.list.iter().any(|port| port.name == *name);
            if !group.iter().any(|((name, _), _)| name.as_ref().is_some_and(is_taken)) {
                let port = self.new_port(group);
                self.insert(port);
            }
        }
    }

    /// A port for one group: numbered as most of its instances are (the lowest on a tie; where that is taken, as the next
    /// most are, and in the end with the next free number).
    fn new_port(&self, group: &[(Kind<'a>, u32)]) -> ServicePort<'a> {
        let mut usage: Vec<(usize, u32)> =
            group.chunk_by(|a, b| a.1 == b.1).filter_map(|same| Some((same.len(), same.first()?.1))).collect();
        usage.sort_unstable_by_key(|(count, number)| (Reverse(*count), *number));
        let (own_name, protocol) = group.first().map_or((None, Protocol::TCP), |(kind, _)| kind.clone());
        let favourite = usage.first().map_or(1, |(_, number)| *number);
        let upwards = (favourite..=u32::from(u16::MAX)).chain(1..favourite);
        let (number, name) = usage
            .iter()
            .map(|(_, number)| *number)
            .chain(upwards)
            .filter(|number| !self.list.iter().any(|port| port.number == *number))
            .find_map(|number| Some((number, self.free_name(own_name.as_ref(), &protocol, number)?)))
            // Not reached: at most 256 numbers and names are taken.
            .unwrap_or_else(|| (favourite, Cow::Owned(protocol.port_name(favourite))));
        ServicePort { name, number, target: None, protocol, is_open: false, derived: true, new: true, nameable: true }
    }

    fn free_name(&self, own: Option<&Cow<'a, str>>, protocol: &Protocol<'_>, number: u32) -> Option<Cow<'a, str>> {
        let taken = |name: &str| self.list.iter().any(|port| port.name == name);
        let name = own.cloned().unwrap_or_else(|| Cow::Owned(protocol.port_name(number)));
        if !taken(&name) {
            return Some(name);
        }
        // The names that Aeraki reads have their number already.
        if protocol.application != Application::Plain {
            return None;
        }
        let numbered = format!("{name}-{number}");
        (numbered.len() <= LONGEST_PORT_NAME && !taken(&numbered)).then_some(Cow::Owned(numbered))
    }

    /// Says which ports are derived now; for when nothing can refuse them any more.
    pub(crate) fn report_new(&self, diagnostics: &mut Diagnostics) {
        for port in self.list.iter().filter(|port| port.new) {
            diagnostics.add(
                Code::PortDerived,
                Subject::Port(port.name.to_string()),
                format!(
                    "port {} {} {} is derived from the instances, and stays from now on",
                    port.name,
                    port.number,
                    port.protocol.istio.as_str()
                ),
                "",
            );
        }
    }
}

/// Whether a name ends in the port's own number.
fn is_number(rest: &str, number: u32) -> bool {
    rest.strip_prefix('-').is_some_and(|digits| digits.parse() == Ok(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Declarer;
    use crate::model::Declarer::Controller;
    use crate::ports::tests::{candidates, entry, instance, served};

    type Given<'a> = (&'a str, u32, &'a str, Declarer);

    /// Derives for instances of these protocols and ports; gives all ports, and which of them each instance serves.
    fn derive(kept: &[Given<'_>], instances: &[(&str, u32)]) -> (Vec<String>, Vec<String>) {
        let entry = entry(kept);
        let mut ports = ServicePorts::of(&entry, &mut Diagnostics::default());
        let instances: Vec<_> = instances.iter().map(|(protocol, port)| instance(protocol, *port)).collect();
        let mut fit = candidates(&instances);
        ports.derive(&mut fit, &mut Diagnostics::default()).unwrap();
        let all = ports.list.iter().map(|port| format!("{} {}", port.name, port.number)).collect();
        (all, fit.iter().flat_map(|candidate| served(&ports, candidate)).collect())
    }

    #[track_caller]
    fn check(kept: &[Given<'_>], instances: &[(&str, u32)], ports: &[&str], serves: &[&str]) {
        let (all, served) = derive(kept, instances);
        assert_eq!(
            (all, served),
            (ports.iter().map(|p| (*p).into()).collect(), serves.iter().map(|s| (*s).into()).collect())
        );
    }

    #[track_caller]
    fn check_new(taken: &[Given<'_>], protocol: &str, instances: &[u32], expected: (&str, u32)) {
        let entry = entry(taken);
        let ports = ServicePorts::of(&entry, &mut Diagnostics::default());
        let registered = Registered::read(protocol);
        let kind: Kind<'_> = (registered.own_port_name(), registered.protocol.clone());
        let group: Vec<_> = instances.iter().map(|port| (kind.clone(), *port)).collect();
        let port = ports.new_port(&group);
        assert_eq!((port.name.as_ref(), port.number), expected);
    }

    #[test]
    fn derives_names_and_numbers() {
        check_new(&[], "http", &[80], ("http", 80));
        check_new(&[], "http", &[80, 8080, 8080], ("http", 8080));
        check_new(&[], "http", &[80, 80, 8080, 8080], ("http", 80));
        check_new(&[("grpc", 80, "GRPC", Controller)], "http", &[80, 80, 8080], ("http", 8080));
        check_new(&[("grpc", 80, "GRPC", Controller)], "http", &[80], ("http", 81));
        check_new(&[("grpc", 65_535, "GRPC", Controller)], "http", &[65_535], ("http", 1));
        check_new(&[("http", 80, "GRPC", Controller)], "http", &[8080], ("http-8080", 8080));
        check_new(&[], "dubbo", &[20_880], ("tcp-dubbo-20880", 20_880));
        check_new(&[("tcp-dubbo-7", 1, "HTTP", Controller)], "dubbo", &[7], ("tcp-dubbo-8", 8));
        check_new(&[], "http-web/TCP", &[8080], ("http-web", 8080));
    }

    #[test]
    fn one_port_for_each_name() {
        check(
            &[],
            &[("http-web/TCP", 8080), ("http-admin/TCP", 8081), ("http", 9090)],
            &["http 9090", "http-admin 8081", "http-web 8080"],
            &["http-web", "http-admin", "http"],
        );
        check(
            &[],
            &[("web/TCP", 1), ("dns/UDP", 2), ("", 3), ("not a name", 4)],
            &["dns 2", "tcp 3", "web 1"],
            &["web", "dns", "tcp", "tcp"],
        );
        check(
            &[],
            &[("dubbo-a/TCP", 1), ("tcp-dubbo-2/TCP", 2)],
            &["tcp-dubbo-2 2", "tcp-dubbo-a 1"],
            &["tcp-dubbo-a", "tcp-dubbo-2"],
        );
    }

    #[test]
    fn kept_ones_serve_their_own() {
        let kept = [("http-web", 8080, "HTTP", Controller), ("http", 80, "HTTP", Controller)];
        check(&kept, &[("http-web/TCP", 1), ("http", 8080)], &["http 80", "http-web 8080"], &["http-web", "http"]);
        check(&kept[..1], &[("http", 8080)], &["http 8081", "http-web 8080"], &["http"]);
        check(&kept[1..], &[("http-web/TCP", 8080)], &["http 80", "http-web 8080"], &["http-web"]);
        check(&kept, &[], &["http 80", "http-web 8080"], &[]);
    }

    /// The original tool wrote `<protocol>-<number>`, and one for each instance port.
    #[test]
    fn kept_ones_with_a_number() {
        let kept = [("http-8080", 8080, "HTTP", Controller), ("http-9090", 9090, "HTTP", Controller)];
        let all = ["http-8080 8080", "http-9090 9090"];
        check(&kept, &[("http", 9090), ("http", 8080), ("http", 5)], &all, &["http-9090", "http-8080", "http-8080"]);
        check(&[("http-8080", 80, "HTTP", Controller)], &[("http", 8080)], &["http 8080", "http-8080 80"], &["http"]);
        check(&[("tcp-dubbo-7", 7, "TCP", Controller)], &[("dubbo", 9)], &["tcp-dubbo-7 7"], &["tcp-dubbo-7"]);
    }

    /// Names are unique, whatever was registered: who comes second counts by his protocol.
    #[test]
    fn names_that_are_taken() {
        check(&[], &[("dns/UDP", 53), ("dns/TCP", 53)], &["dns 53", "udp 54"], &["udp", "dns"]);
        let kept = [("dns", 53, "UDP", Controller)];
        check(&kept, &[("dns/UDP", 53), ("dns/TCP", 53)], &["dns 53", "tcp 54"], &["dns", "tcp"]);
        let odd = [("http", 80, "TCP", Controller)];
        check(&odd, &[("http", 8080)], &["http 80", "http-8080 8080"], &["http-8080"]);
        check(
            &[],
            &[("http-8080/TCP", 8080), ("http", 8080)],
            &["http 8081", "http-8080 8080"],
            &["http-8080", "http"],
        );
    }
}
