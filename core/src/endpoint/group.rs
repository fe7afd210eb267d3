//! Instances of one address: which of them are one endpoint.

use super::Member;
use crate::diagnostic::{Code, Diagnostics};
use crate::fitness::Candidate;
use crate::model::Subject;
use crate::quote::{Tally, quote};

/// Oddities of instances that share an address, over all addresses.
#[derive(Default)]
pub(super) struct Notes {
    weights: Examples,
    names: Examples,
}

/// How often something was found, with its first three examples; addresses come in order.
#[derive(Default)]
struct Examples {
    count: usize,
    texts: Vec<String>,
}

impl Examples {
    fn add(&mut self, text: impl FnOnce() -> String) {
        self.count += 1;
        if self.texts.len() < Tally::EXAMPLES {
            self.texts.push(text());
        }
    }
}

/// The endpoints of one address, whose members come by slot, port and id. An instance is in one endpoint with all the
/// ports that it serves; of two that serve one port, each is in an endpoint of its own.
pub(super) fn split<'a>(
    group: &[Member<'a>],
    notes: &mut Notes,
    diagnostics: &mut Diagnostics,
) -> Vec<Vec<Member<'a>>> {
    let distinct = without_duplicates(group, diagnostics);
    notes.see_names(&distinct);
    let (several, single): (Vec<Member<'_>>, Vec<Member<'_>>) =
        distinct.iter().partition(|member| member.candidate.slots.are_several());
    let mut endpoints = place_several(&several);
    for of_slot in single.chunk_by(|a, b| a.slot == b.slot) {
        let mut place = 0;
        for member in of_slot {
            while endpoints.get(place).is_some_and(|endpoint| serves(endpoint, member.slot)) {
                place += 1;
            }
            match endpoints.get_mut(place) {
                Some(endpoint) => endpoint.push(*member),
                None => endpoints.push(vec![*member]),
            }
            place += 1;
        }
    }
    for endpoint in &mut endpoints {
        endpoint.sort_unstable_by_key(|member| member.slot);
        notes.see_weights(endpoint);
    }
    endpoints
}

fn serves(endpoint: &[Member<'_>], slot: usize) -> bool {
    endpoint.iter().any(|member| member.slot == slot)
}

/// Endpoints of the instances that serve several ports. On one address there are at most as many as ports, since all the
/// ports of such an instance lead to its own.
fn place_several<'a>(several: &[Member<'a>]) -> Vec<Vec<Member<'a>>> {
    let mut endpoints: Vec<Vec<Member<'_>>> = Vec::new();
    for (position, member) in several.iter().enumerate() {
        let is_same = |other: &&Member<'_>| other.candidate.index == member.candidate.index;
        if several[..position].iter().any(|earlier| is_same(&earlier)) {
            continue;
        }
        let own: Vec<_> = several[position..].iter().filter(is_same).copied().collect();
        let is_free = |endpoint: &&mut Vec<Member<'_>>| own.iter().all(|member| !serves(endpoint, member.slot));
        match endpoints.iter_mut().find(is_free) {
            Some(endpoint) => endpoint.extend(own),
            None => endpoints.push(own),
        }
    }
    endpoints
}

/// Every port of the address once at each service port. An instance of which nothing remains is a duplicate.
fn without_duplicates<'a>(group: &[Member<'a>], diagnostics: &mut Diagnostics) -> Vec<Member<'a>> {
    let mut distinct: Vec<Member<'_>> = Vec::with_capacity(group.len());
    let mut lost: Vec<(Member<'_>, Member<'_>)> = Vec::new();
    for same in group.chunk_by(|a, b| a.slot == b.slot && a.port() == b.port()) {
        distinct.push(same[0]);
        lost.extend(same[1..].iter().map(|member| (*member, same[0])));
    }
    lost.sort_unstable_by_key(|(member, _)| (member.candidate.index, member.slot));
    lost.dedup_by_key(|(member, _)| member.candidate.index);
    for (member, first) in lost {
        // One that serves several ports may have lost only some of them.
        let keeps_some = member.candidate.slots.are_several()
            && distinct.iter().any(|kept| kept.candidate.index == member.candidate.index);
        if !keeps_some {
            report_duplicate(member.candidate, first.candidate, diagnostics);
        }
    }
    distinct
}

#[cold]
fn report_duplicate(duplicate: &Candidate<'_>, first: &Candidate<'_>, diagnostics: &mut Diagnostics) {
    diagnostics.add(
        Code::InstanceDuplicate,
        duplicate.subject(),
        format!(
            "{} is the same as the instance {}, by address, port and service port",
            duplicate.name(),
            quote(&first.instance.id)
        ),
        "Register it once.",
    );
}

/// The instances of an endpoint, by port, each once. There is one at least.
pub(super) fn instances<'a>(members: &[Member<'a>]) -> Vec<&'a Candidate<'a>> {
    let mut by_port = members.to_vec();
    by_port.sort_unstable_by_key(|member| (member.port(), member.slot));
    let mut instances: Vec<&Candidate<'_>> = Vec::with_capacity(members.len());
    for member in by_port {
        if !instances.iter().any(|known| known.index == member.candidate.index) {
            instances.push(member.candidate);
        }
    }
    instances
}

impl Notes {
    fn see_weights(&mut self, endpoint: &[Member<'_>]) {
        let unlike = |pair: &[Member<'_>]| pair[0].candidate.instance.weight != pair[1].candidate.instance.weight;
        if !endpoint.windows(2).any(unlike) {
            return;
        }
        self.weights.add(|| {
            let instances = instances(endpoint);
            let weights: Vec<_> = instances
                .iter()
                .take(Tally::EXAMPLES)
                .map(|candidate| format!("port {} has {}", candidate.instance.port, candidate.instance.weight))
                .collect();
            format!(
                "instance {}, of which {}, gets {}",
                quote(instances[0].address.text()),
                weights.join(" and "),
                instances[0].instance.weight
            )
        });
    }

    /// Members come by slot.
    fn see_names(&mut self, members: &[Member<'_>]) {
        for of_slot in members.chunk_by(|a, b| a.slot == b.slot) {
            let mut names = of_slot.iter().filter_map(|member| member.candidate.registered.port_name());
            let Some(first) = names.next() else {
                continue;
            };
            if let Some(other) = names.find(|name| !name.eq_ignore_ascii_case(first)) {
                self.names.add(|| {
                    format!("{} and {} at {}", quote(first), quote(other), quote(of_slot[0].candidate.address.text()))
                });
            }
        }
    }

    pub(super) fn report(&self, diagnostics: &mut Diagnostics) {
        if self.weights.count > 0 {
            diagnostics.add(
                Code::WeightsDiffer,
                Subject::Service,
                format!(
                    "{} addresses have instances of unlike weights, and one endpoint has one weight, that of the lowest port: {}",
                    self.weights.count,
                    self.weights.texts.join("; ")
                ),
                "Register one weight for all ports of an address, or make one entry for each protocol, with aeraki.net/protocol.",
            );
        }
        if self.names.count > 0 {
            diagnostics.add(
                Code::NamesMixed,
                Subject::Service,
                format!(
                    "{} times one service port takes instances of one address that registered unlike port names, so that traffic for the one reaches the other: {}",
                    self.names.count,
                    self.names.texts.join("; ")
                ),
                "Declare a port for each of these names, or let aeraki.net/protocol choose one of them.",
            );
        }
    }
}
