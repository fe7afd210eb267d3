//! Ports for an entry that declares none: one for each protocol, named after it and numbered as most instances are.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::{ServicePort, ServicePorts};
use crate::diagnostic::{Code, Diagnostics, Rejected};
use crate::fitness::Candidate;
use crate::limits;
use crate::model::Subject;
use crate::protocol::{Application, Protocol};

impl<'a> ServicePorts<'a> {
    /// Gives every candidate its slot, where none is declared, deriving a port for each protocol that has none.
    ///
    /// # Errors
    /// A rejection where more ports would be needed than an entry holds.
    pub(crate) fn derive(
        &mut self,
        candidates: &mut [Candidate<'a>],
        diagnostics: &mut Diagnostics,
    ) -> Result<(), Rejected> {
        let mut unserved: Vec<(Protocol<'a>, u32)> = candidates
            .iter()
            .filter(|candidate| !self.list.iter().any(|port| port.protocol == candidate.protocol))
            .map(|candidate| (candidate.protocol.clone(), candidate.instance.port))
            .collect();
        unserved.sort_unstable();
        let groups = unserved.chunk_by(|a, b| a.0 == b.0);
        let total = self.list.len() + groups.clone().count();
        if total > limits::PORTS {
            return Err(diagnostics.reject(
                Code::TooManyPorts,
                Subject::Field("spec.ports".to_owned()),
                format!("{total} ports would be needed, and a ServiceEntry holds {}", limits::PORTS),
                "Let aeraki.net/protocol choose the instances of one protocol.",
            ));
        }
        for group in groups {
            let port = self.new_port(group);
            self.insert(port);
        }
        for candidate in candidates {
            candidate.slot = self.of_protocol(&candidate.protocol, candidate.instance.port).unwrap_or_default();
        }
        Ok(())
    }

    /// A port for instances of one protocol, given with their ports in order: numbered as most of them are (the lowest on
    /// a tie; where that is taken, as the next most are, and in the end with the next free number).
    fn new_port(&self, group: &[(Protocol<'a>, u32)]) -> ServicePort<'a> {
        let mut usage: Vec<(usize, u32)> =
            group.chunk_by(|a, b| a.1 == b.1).filter_map(|same| Some((same.len(), same.first()?.1))).collect();
        usage.sort_unstable_by_key(|(count, number)| (Reverse(*count), *number));
        let protocol = group.first().map_or(Protocol::TCP, |(protocol, _)| protocol.clone());
        let favourite = usage.first().map_or(1, |(_, number)| *number);
        let upwards = (favourite..=u32::from(u16::MAX)).chain(1..favourite);
        let (number, name) = usage
            .iter()
            .map(|(_, number)| *number)
            .chain(upwards)
            .filter(|number| !self.list.iter().any(|port| port.number == *number))
            .find_map(|number| Some((number, self.free_name(&protocol, number)?)))
            // Not reached: at most 256 numbers and names are taken.
            .unwrap_or((favourite, protocol.port_name(favourite)));
        ServicePort { name: Cow::Owned(name), number, target: None, protocol, derived: true, new: true, nameable: true }
    }

    fn free_name(&self, protocol: &Protocol<'_>, number: u32) -> Option<String> {
        let taken = |name: &String| self.list.iter().any(|port| port.name == *name);
        let name = protocol.port_name(number);
        if !taken(&name) {
            return Some(name);
        }
        // The names that Aeraki reads have their number already.
        if protocol.application != Application::Plain {
            return None;
        }
        Some(format!("{name}-{number}")).filter(|name| !taken(name))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Declarer;
    use crate::ports::tests::entry;

    #[track_caller]
    fn check_new(taken: &[(&str, u32, &str, Declarer)], protocol: &str, instances: &[u32], expected: (&str, u32)) {
        let entry = entry(taken);
        let ports = ServicePorts::of(&entry, &mut Diagnostics::default());
        let group: Vec<_> = instances.iter().map(|port| (Protocol::of_instance(protocol), *port)).collect();
        let port = ports.new_port(&group);
        assert_eq!((port.name.as_ref(), port.number), expected);
    }

    #[test]
    fn derives_names_and_numbers() {
        use Declarer::Controller;
        check_new(&[], "http", &[80], ("http", 80));
        check_new(&[], "http", &[80, 8080, 8080], ("http", 8080));
        check_new(&[], "http", &[80, 80, 8080, 8080], ("http", 80));
        check_new(&[("grpc", 80, "GRPC", Controller)], "http", &[80, 80, 8080], ("http", 8080));
        check_new(&[("grpc", 80, "GRPC", Controller)], "http", &[80], ("http", 81));
        check_new(&[("grpc", 65_535, "GRPC", Controller)], "http", &[65_535], ("http", 1));
        check_new(&[("http", 80, "GRPC", Controller)], "http", &[8080], ("http-8080", 8080));
        check_new(&[], "dubbo", &[20_880], ("tcp-dubbo-20880", 20_880));
        check_new(&[("tcp-dubbo-7", 1, "HTTP", Controller)], "dubbo", &[7], ("tcp-dubbo-8", 8));
    }
}
