//! Phantoms: an endpoint answers on every service port of the entry, also on one that it does not serve.

use super::{Draft, Endpoints, Member};
use crate::diagnostic::{Code, Diagnostics};
use crate::model::Subject;
use crate::ports::{ServicePort, ServicePorts};
use crate::quote::{Tally, quote};

impl<'a> Endpoints<'a> {
    /// Istio sends the traffic of every service port to every endpoint, also to one that does not serve it.
    #[inline(never)]
    pub(crate) fn report_phantoms(&self, ports: &ServicePorts<'_>, diagnostics: &mut Diagnostics) {
        if self.list.is_empty() || ports.list.len() < 2 {
            return;
        }
        let mut served = vec![0_usize; ports.list.len()];
        for member in &self.members {
            served[member.slot] += 1;
        }
        for (slot, port) in ports.list.iter().enumerate() {
            if served[slot] == self.list.len() {
                continue;
            }
            let lacking: Vec<&Draft<'a>> =
                self.list.iter().filter(|draft| !answers(self.members(draft), slot, port)).collect();
            if !lacking.is_empty() {
                self.report_phantom(port, &lacking, ports, diagnostics);
            }
        }
    }

    #[cold]
    fn report_phantom(
        &self,
        port: &ServicePort<'_>,
        lacking: &[&Draft<'a>],
        ports: &ServicePorts<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        let examples: Vec<String> =
            lacking.iter().take(Tally::EXAMPLES).map(|draft| quote(draft.first.address.text())).collect();
        // One that serves another port of the same protocol.
        let sibling = lacking
            .iter()
            .flat_map(|draft| self.members(draft))
            .find(|member| port.is_like(&ports.list[member.slot], &member.candidate.registered));
        diagnostics.add(
            Code::PhantomPort,
            Subject::Port(port.name.to_string()),
            format!(
                "{} of {} endpoints do not serve port {}, among them {}; Istio sends its traffic to them all the same, at port {}",
                lacking.len(),
                self.list.len(),
                quote(&port.name),
                examples.join(", "),
                port.default_target()
            ),
            &remedy(port, sibling, ports),
        );
    }
}

/// Whether the port's traffic reaches an instance that it is for.
fn answers(members: &[Member<'_>], slot: usize, port: &ServicePort<'_>) -> bool {
    let is_reached =
        |member: &Member<'_>| member.port() == port.default_target() && port.takes(&member.candidate.registered);
    members.iter().any(|member| member.slot == slot || is_reached(member))
}

fn remedy(port: &ServicePort<'_>, sibling: Option<&Member<'_>>, ports: &ServicePorts<'_>) -> String {
    match sibling {
        Some(member) if !port.derived => format!(
            "Give it targetPort {}, where it is to reach what port {} reaches; else remove it from the entry, or register its instances under its name, as {}/TCP.",
            member.port(),
            quote(&ports.list[member.slot].name),
            port.name
        ),
        Some(_) => {
            "Register the instances of this port as a service of its own, or declare the ports that the entry is to have."
                .to_owned()
        }
        None => {
            "Make one entry for each protocol, and let the annotation aeraki.net/protocol choose its instances.".to_owned()
        }
    }
}
