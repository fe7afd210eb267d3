//! From instances to endpoints: one address with several service ports is one endpoint, and the order is always the same.
//!
//! Endpoints are drafted with borrowed parts in shared pools, so that a conversion that ends as **unchanged** builds none.

use std::cmp::Ordering;
use std::ops::Range;

use crate::diagnostic::Diagnostics;
use crate::fitness::Candidate;
use crate::identity::{Identities, Identity, NotPassed};
use crate::labels;
use crate::locality::{self, Locality};
use crate::model::Instance;
use crate::quote::Tally;
use group::Notes;

mod group;
mod phantoms;

/// An instance at one of the service ports that it serves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) candidate: &'a Candidate<'a>,
    pub(crate) slot: usize,
}

impl Member<'_> {
    fn port(&self) -> u32 {
        self.candidate.instance.port
    }
}

/// An endpoint, drafted; its ranges lie in the pools of [`Endpoints`].
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// The instance with the lowest port, which gives address, weight and locality.
    pub(crate) first: &'a Candidate<'a>,
    pub(crate) locality: Locality<'a>,
    pub(crate) identity: Identity<'a>,
    members: Range<usize>,
    labels: Range<usize>,
}

/// All endpoints, in their order.
#[derive(Debug, Default)]
pub(crate) struct Endpoints<'a> {
    pub(crate) list: Vec<Draft<'a>>,
    /// Who serves what, by slot inside each endpoint.
    members: Vec<Member<'a>>,
    labels: Vec<(&'a str, &'a str)>,
}

/// What does not go along, over all endpoints.
#[derive(Default)]
struct LeftOut<'a> {
    labels: labels::LeftOut<'a>,
    localities: Tally<'a>,
    identities: NotPassed<'a>,
}

impl<'a> Endpoints<'a> {
    /// Sorts the members, joins those of one address, and reports what does not go along.
    pub(crate) fn of(mut members: Vec<Member<'a>>, identities: &Identities<'a>, diagnostics: &mut Diagnostics) -> Self {
        members.sort_unstable_by(order);
        let metadata = members.iter().map(|member| member.candidate.instance.metadata.len() + 1).sum();
        let mut endpoints = Self {
            list: Vec::with_capacity(members.len()),
            members: Vec::with_capacity(members.len()),
            labels: Vec::with_capacity(metadata),
        };
        let (mut left_out, mut notes) = (LeftOut::default(), Notes::default());
        for group in members.chunk_by(|a, b| a.candidate.address == b.candidate.address) {
            if group.len() == 1 {
                endpoints.add(group, identities, &mut left_out);
                continue;
            }
            for members in group::split(group, &mut notes, diagnostics) {
                endpoints.add(&members, identities, &mut left_out);
            }
        }
        left_out.labels.report(diagnostics);
        locality::report(&left_out.localities, diagnostics);
        left_out.identities.report(diagnostics);
        notes.report(diagnostics);
        endpoints
    }

    fn add(&mut self, members: &[Member<'a>], identities: &Identities<'a>, left_out: &mut LeftOut<'a>) {
        let start = (self.members.len(), self.labels.len());
        let (first, identity) = match members {
            [] => return,
            [only] => {
                labels::append(only.candidate.instance, &mut self.labels, &mut left_out.labels);
                let identity = identities.of(std::iter::once(only.candidate), &mut left_out.identities);
                (only.candidate, identity)
            }
            several => {
                let instances = group::instances(several);
                self.append_shared_labels(&instances, &mut left_out.labels);
                let identity = identities.of(instances.iter().copied(), &mut left_out.identities);
                (instances[0], identity)
            }
        };
        self.members.extend_from_slice(members);
        self.list.push(Draft {
            first,
            locality: Locality::of(&first.instance.location, &mut left_out.localities),
            identity,
            members: start.0..self.members.len(),
            labels: start.1..self.labels.len(),
        });
    }

    /// The labels that all these have alike.
    fn append_shared_labels(&mut self, instances: &[&'a Candidate<'a>], left_out: &mut labels::LeftOut<'a>) {
        let mut shared: Option<Vec<(&str, &str)>> = None;
        for candidate in instances {
            let mut own = Vec::new();
            labels::append(candidate.instance, &mut own, left_out);
            match &mut shared {
                None => shared = Some(own),
                Some(shared) => shared.retain(|label| own.binary_search(label).is_ok()),
            }
        }
        self.labels.append(&mut shared.unwrap_or_default());
    }

    /// Who serves what at an endpoint, by slot.
    pub(crate) fn members(&self, draft: &Draft<'a>) -> &[Member<'a>] {
        &self.members[draft.members.clone()]
    }

    /// The labels of an endpoint, by key.
    pub(crate) fn labels(&self, draft: &Draft<'a>) -> &[(&'a str, &'a str)] {
        &self.labels[draft.labels.clone()]
    }
}

/// By address, slot, port and id; and by everything else for duplicates, so that order of arrival never tells.
fn order(a: &Member<'_>, b: &Member<'_>) -> Ordering {
    let (left, right) = (a.candidate, b.candidate);
    left.address
        .cmp(&right.address)
        .then_with(|| a.slot.cmp(&b.slot))
        .then_with(|| a.port().cmp(&b.port()))
        .then_with(|| left.instance.id.cmp(&right.instance.id))
        .then_with(|| rest(left.instance).cmp(&rest(right.instance)))
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
