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

/// All that does not go along, over all endpoints.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Declarer, EntryPort, Update, Verdict};
    use crate::ports::tests::{entry, instance};

    /// The update for instances behind an entry with these ports, and the codes of what is said.
    fn update(ports: &[EntryPort], instances: Vec<Instance>) -> (Update, Vec<String>) {
        let mut entry = entry(&[]);
        entry.annotations = [("aeraki.net/polarisNamespace", "n"), ("aeraki.net/polarisService", "s")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        entry.ports = ports.to_vec();
        entry.resolution = Some(crate::model::Resolution::Static);
        let (namespace, name, revision) = ("n".to_owned(), "s".to_owned(), String::new());
        let service = crate::model::Service { namespace, name, revision, metadata: vec![], instances };
        let request = crate::model::Request { service, entry, parameters: vec![], published: None };
        let outcome = crate::convert(&request).unwrap();
        let codes = outcome.diagnostics.into_iter().map(|found| found.code).collect();
        match outcome.verdict {
            Verdict::Update(update) => (update, codes),
            other => panic!("{other:?}"),
        }
    }

    fn port(name: &str, number: u32, target_port: Option<u32>) -> EntryPort {
        let (name, protocol) = (name.to_owned(), "HTTP".to_owned());
        EntryPort { name, number, protocol, target_port, declared_by: Declarer::Other }
    }

    fn named(id: &str, protocol: &str, port: u32) -> Instance {
        Instance { id: id.to_owned(), ..instance(protocol, port) }
    }

    /// Ports of an endpoint, and the instances that it stands for.
    type Expected<'a> = (&'a [(&'a str, u32)], &'a [u32]);

    #[track_caller]
    fn check(ports: &[EntryPort], instances: Vec<Instance>, expected: &[Expected<'_>], code: Option<&str>) {
        let (update, codes) = update(ports, instances);
        let found: Vec<_> = update
            .endpoints
            .iter()
            .map(|endpoint| {
                let ports: Vec<_> = endpoint.ports.iter().map(|(name, port)| (name.as_str(), *port)).collect();
                (ports, endpoint.instances.clone())
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|(ports, own)| (ports.to_vec(), own.to_vec())).collect();
        assert_eq!(found, expected);
        let said = codes.iter().any(|found| Some(found.as_str()) == code);
        assert_eq!(said, code.is_some(), "{codes:?}");
    }

    /// One that serves two ports stays whole, whoever else serves one of them at its address.
    #[test]
    fn an_instance_is_in_one_endpoint() {
        let ports = [port("a", 80, Some(8080)), port("b", 8080, None)];
        check(&ports, vec![named("x", "http", 8080)], &[(&[("a", 8080), ("b", 8080)], &[0])], None);
        let instances = vec![named("x", "a/TCP", 7070), named("y", "http", 8080)];
        check(&ports, instances, &[(&[("a", 8080), ("b", 8080)], &[1]), (&[("a", 7070)], &[0])], None);
        let instances = vec![named("x", "b/TCP", 7070), named("y", "b/TCP", 7071), named("z", "http", 8080)];
        let expected: [Expected<'_>; 3] =
            [(&[("a", 8080), ("b", 8080)], &[2]), (&[("b", 7070)], &[0]), (&[("b", 7071)], &[1])];
        check(&ports, instances, &expected, None);
    }

    #[test]
    fn duplicates() {
        let one = [port("a", 80, None)];
        let twice = vec![named("x", "http", 7070), named("w", "http/TCP", 7070)];
        check(&one, twice, &[(&[("a", 7070)], &[1])], Some("instance-duplicate"));
        let both = [port("a", 80, Some(8080)), port("b", 8080, None)];
        let twice = vec![named("x", "http", 8080), named("y", "http", 8080)];
        check(&both, twice, &[(&[("a", 8080), ("b", 8080)], &[0])], Some("instance-duplicate"));
        // The second serves one port beyond the first.
        let some = vec![named("x", "a/TCP", 8080), named("y", "http", 8080)];
        check(&both, some, &[(&[("a", 8080), ("b", 8080)], &[0, 1])], None);
        let none = vec![named("x", "a/TCP", 8080), named("a", "http", 8080)];
        check(&both, none, &[(&[("a", 8080), ("b", 8080)], &[1])], Some("instance-duplicate"));
    }

    #[test]
    fn weights_and_names_that_differ() {
        let two = [port("a", 80, None), port("b", 81, None)];
        let weighty = |id, protocol, port, weight| Instance { weight, ..named(id, protocol, port) };
        let alike = vec![weighty("x", "a/TCP", 1, 5), weighty("y", "b/TCP", 2, 5)];
        check(&two, alike, &[(&[("a", 1), ("b", 2)], &[0, 1])], None);
        let unlike = vec![weighty("x", "a/TCP", 2, 5), weighty("y", "b/TCP", 1, 6)];
        let (update, codes) = update(&two, unlike);
        assert_eq!(update.endpoints[0].weight, 6);
        assert!(codes.contains(&"weights-differ".to_owned()), "{codes:?}");
        let one = [port("p", 80, None)];
        let mixed = vec![named("x", "http-a/TCP", 1), named("y", "http-b/TCP", 2)];
        check(&one, mixed, &[(&[("p", 1)], &[0]), (&[("p", 2)], &[1])], Some("names-mixed"));
        let same = vec![named("x", "http-a/TCP", 1), named("y", "HTTP-A/TCP", 2), named("z", "http", 3)];
        let (_, codes) = self::update(&one, same);
        assert!(!codes.contains(&"names-mixed".to_owned()), "{codes:?}");
    }
}
