//! From instances to endpoints: one address with several protocols is one endpoint, and the order is always the same.
//!
//! Endpoints are drafted with borrowed parts in shared pools, so that a conversion that ends as **unchanged** builds none.

use std::cmp::Ordering;
use std::ops::Range;

use crate::diagnostic::{Code, Diagnostics};
use crate::fitness::Candidate;
use crate::labels;
use crate::locality::{self, Locality};
use crate::model::{Instance, Subject};
use crate::ports::ServicePorts;
use crate::quote::{Tally, quote};

/// An endpoint, drafted; its ranges lie in the pools of [`Endpoints`].
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// The instance with the lowest port, which gives address, weight and locality.
    pub(crate) first: &'a Candidate<'a>,
    pub(crate) locality: Locality<'a>,
    members: Range<usize>,
    labels: Range<usize>,
}

/// All endpoints, in their order.
#[derive(Debug, Default)]
pub(crate) struct Endpoints<'a> {
    pub(crate) list: Vec<Draft<'a>>,
    /// The instances, by slot inside each endpoint.
    members: Vec<&'a Candidate<'a>>,
    labels: Vec<(&'a str, &'a str)>,
}

impl<'a> Endpoints<'a> {
    /// Sorts the candidates, joins those of one address, and reports what does not go along.
    pub(crate) fn of(candidates: &'a [Candidate<'a>], ports: &ServicePorts<'_>, diagnostics: &mut Diagnostics) -> Self {
        let mut sorted: Vec<&'a Candidate<'a>> = candidates.iter().collect();
        sorted.sort_unstable_by(|a, b| order(a, b));
        let mut endpoints = Self {
            list: Vec::with_capacity(candidates.len()),
            members: Vec::with_capacity(candidates.len()),
            labels: Vec::with_capacity(candidates.iter().map(|candidate| candidate.instance.metadata.len() + 1).sum()),
        };
        let mut left_out = labels::LeftOut::default();
        let mut invalid_localities = Tally::default();
        for group in sorted.chunk_by(|a, b| a.address == b.address) {
            if group.len() == 1 {
                endpoints.add(group, &mut left_out, &mut invalid_localities);
                continue;
            }
            for members in split(group, diagnostics) {
                endpoints.add(&members, &mut left_out, &mut invalid_localities);
            }
        }
        left_out.report(diagnostics);
        locality::report(&invalid_localities, diagnostics);
        endpoints.report_phantoms(ports, diagnostics);
        endpoints
    }

    fn add(
        &mut self,
        members: &[&'a Candidate<'a>],
        left_out: &mut labels::LeftOut<'a>,
        invalid_localities: &mut Tally<'a>,
    ) {
        let by_port = |member: &&&Candidate<'_>| (member.instance.port, member.slot);
        let Some(first) = members.iter().min_by_key(by_port) else {
            return;
        };
        let start = (self.members.len(), self.labels.len());
        self.members.extend_from_slice(members);
        match members {
            [only] => labels::append(only.instance, &mut self.labels, left_out),
            several => self.append_shared_labels(several, left_out),
        }
        self.list.push(Draft {
            first,
            locality: Locality::of(&first.instance.location, invalid_localities),
            members: start.0..self.members.len(),
            labels: start.1..self.labels.len(),
        });
    }

    /// The labels that all these have alike.
    fn append_shared_labels(&mut self, members: &[&'a Candidate<'a>], left_out: &mut labels::LeftOut<'a>) {
        let mut shared: Option<Vec<(&str, &str)>> = None;
        for member in members {
            let mut own = Vec::new();
            labels::append(member.instance, &mut own, left_out);
            match &mut shared {
                None => shared = Some(own),
                Some(shared) => shared.retain(|label| own.binary_search(label).is_ok()),
            }
        }
        self.labels.append(&mut shared.unwrap_or_default());
    }

    /// The instances that an endpoint stands for, by slot.
    pub(crate) fn members(&self, draft: &Draft<'a>) -> &[&'a Candidate<'a>] {
        &self.members[draft.members.clone()]
    }

    /// The labels of an endpoint, by key.
    pub(crate) fn labels(&self, draft: &Draft<'a>) -> &[(&'a str, &'a str)] {
        &self.labels[draft.labels.clone()]
    }

    /// Istio sends the traffic of every service port to every endpoint, also to one that does not serve it.
    #[inline(never)]
    fn report_phantoms(&self, ports: &ServicePorts<'_>, diagnostics: &mut Diagnostics) {
        if self.list.is_empty() || ports.list.len() < 2 {
            return;
        }
        let mut served = vec![0_usize; ports.list.len()];
        for member in &self.members {
            served[member.slot] += 1;
        }
        for (slot, port) in ports.list.iter().enumerate() {
            let lacking = self.list.len() - served[slot];
            if lacking == 0 {
                continue;
            }
            let without =
                || self.list.iter().filter(|draft| !self.members(draft).iter().any(|member| member.slot == slot));
            let examples: Vec<String> = without().take(3).map(|draft| quote(draft.first.address.text())).collect();
            let same_protocol = |member: &&Candidate<'_>| ports.list[member.slot].protocol == port.protocol;
            let remedy = if without().any(|draft| self.members(draft).iter().any(same_protocol)) {
                "Declare one port for each protocol, or register the instances of this port as a service of its own."
            } else {
                "Make one entry for each protocol, and let the annotation aeraki.net/protocol choose its instances."
            };
            diagnostics.add(
                Code::PhantomPort,
                Subject::Port(port.name.to_string()),
                format!(
                    "{lacking} of {} endpoints do not serve port {}, among them {}; Istio sends its traffic to them all the same",
                    self.list.len(),
                    quote(&port.name),
                    examples.join(", ")
                ),
                remedy,
            );
        }
    }
}

/// The endpoints of one address, whose candidates come by slot and port: the first holds the first instance of every slot,
/// the second the second of those that have two, and so on.
fn split<'a>(group: &[&'a Candidate<'a>], diagnostics: &mut Diagnostics) -> Vec<Vec<&'a Candidate<'a>>> {
    let mut endpoints: Vec<Vec<&Candidate<'_>>> = Vec::new();
    for of_slot in group.chunk_by(|a, b| a.slot == b.slot) {
        let distinct = of_slot.chunk_by(|a, b| a.instance.port == b.instance.port);
        for (position, same) in distinct.enumerate() {
            let Some((first, duplicates)) = same.split_first() else {
                continue;
            };
            if !duplicates.is_empty() {
                report_duplicates(first, duplicates, diagnostics);
            }
            match endpoints.get_mut(position) {
                Some(endpoint) => endpoint.push(first),
                None => endpoints.push(vec![first]),
            }
        }
    }
    endpoints
}

#[cold]
fn report_duplicates(first: &Candidate<'_>, duplicates: &[&Candidate<'_>], diagnostics: &mut Diagnostics) {
    for duplicate in duplicates {
        diagnostics.add(
            Code::InstanceDuplicate,
            duplicate.subject(),
            format!(
                "{} is the same as the instance {}, by address, port and protocol",
                duplicate.name(),
                quote(&first.instance.id)
            ),
            "Register it once.",
        );
    }
}

/// By address, slot, port and id; and by everything else for duplicates, so that order of arrival never tells.
fn order(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    a.address
        .cmp(&b.address)
        .then_with(|| a.slot.cmp(&b.slot))
        .then_with(|| a.instance.port.cmp(&b.instance.port))
        .then_with(|| a.instance.id.cmp(&b.instance.id))
        .then_with(|| rest(a.instance).cmp(&rest(b.instance)))
}

fn rest(instance: &Instance) -> impl Ord + '_ {
    let location = &instance.location;
    (
        (instance.weight, instance.priority, instance.healthy),
        (&instance.version, &instance.protocol, &instance.host),
        (&location.region, &location.zone, &location.campus),
        &instance.metadata,
    )
}
