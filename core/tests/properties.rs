//! What holds for every request, however hostile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use polaris2istio_core::model::{Declarer, EntryPort, Outcome, Request, Resolution, Subject, Update, Verdict};
use polaris2istio_core::{convert, revision};
use proptest::prelude::*;
use support::{check, hostile};

fn run(request: &Request) -> Outcome {
    convert(request).expect("no parameters, no failure")
}

/// An outcome with instances in place of their positions, and diagnostics in one order.
fn without_positions(request: &Request, outcome: Outcome) -> String {
    let instance = |index: &u32| format!("{:?}", request.service.instances[*index as usize]);
    let mut diagnostics: Vec<String> = outcome
        .diagnostics
        .iter()
        .map(|found| match &found.subject {
            Subject::Instance(index) => format!("{} {}", found.code, instance(index)),
            subject => format!("{} {subject:?} {} {}", found.code, found.message, found.remedy),
        })
        .collect();
    diagnostics.sort();
    let verdict = match outcome.verdict {
        Verdict::Update(mut update) => {
            let instances: Vec<Vec<String>> = update
                .endpoints
                .iter_mut()
                .map(|endpoint| std::mem::take(&mut endpoint.instances).iter().map(instance).collect())
                .collect();
            format!("{update:#?} {instances:#?}")
        }
        verdict => format!("{verdict:?}"),
    };
    format!("{verdict} {diagnostics:#?}")
}

/// The entry with the update written to it.
fn write(request: &mut Request, update: &Update) {
    let entry = &mut request.entry;
    entry.resolution = update.resolution.or(entry.resolution);
    entry.location = update.location.or(entry.location);
    entry.ports.retain(|port| port.declared_by == Declarer::Other);
    entry.ports.extend(update.ports.iter().map(|port| EntryPort {
        name: port.name.clone(),
        number: port.number,
        protocol: port.protocol.clone(),
        target_port: port.target_port,
        declared_by: Declarer::Controller,
    }));
}

/// Where traffic of which service port goes: address, port name, port.
fn served(outcome: &Outcome) -> BTreeSet<(String, String, u32)> {
    let Verdict::Update(update) = &outcome.verdict else {
        return BTreeSet::new();
    };
    let of = |endpoint: &polaris2istio_core::model::Endpoint| {
        let address = endpoint.address.clone();
        let ports = endpoint.ports.iter().map(move |(name, port)| (address.clone(), name.clone(), *port));
        ports.collect::<Vec<_>>()
    };
    update.endpoints.iter().flat_map(of).collect()
}

/// Why an instance is left out, but for being there twice.
fn reasons(outcome: &Outcome, index: usize) -> Vec<&str> {
    let own = outcome.diagnostics.iter().filter(|found| found.subject == Subject::Instance(index as u32));
    own.map(|found| found.code.as_str()).filter(|code| *code != "instance-duplicate").collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_outcome_can_be_written(request in hostile::request()) {
        let outcome = run(&request);
        prop_assert_eq!(check::outcome(&request, &outcome), Ok(()));
        if let Verdict::Update(update) = &outcome.verdict {
            let given = update.content_revision.clone();
            prop_assert_eq!(given, Some(revision::of(update)));
        }
    }

    #[test]
    fn order_of_instances_never_matters(
        (request, shuffled) in hostile::request().prop_flat_map(|request| {
            let instances = Just(request.service.instances.clone()).prop_shuffle();
            (Just(request), instances)
        })
    ) {
        let mut other = request.clone();
        other.service.instances = shuffled;
        prop_assert_eq!(without_positions(&request, run(&request)), without_positions(&other, run(&other)));
    }

    #[test]
    fn what_was_written_is_unchanged(request in hostile::request()) {
        if let Verdict::Update(update) = run(&request).verdict {
            let mut again = request;
            write(&mut again, &update);
            prop_assert_eq!(&run(&again).verdict, &Verdict::Update(update.clone()));
            again.published = update.content_revision;
            prop_assert_eq!(run(&again).verdict, Verdict::Unchanged);
            again.published = Some("another".to_owned());
            prop_assert!(matches!(run(&again).verdict, Verdict::Update(_)));
        }
    }

    /// Health and the numbers of derived ports aside, an instance's fate and ports depend on it and the entry alone:
    /// whoever comes or goes changes nothing for the others.
    #[test]
    fn an_instance_stands_by_itself(mut request in hostile::request()) {
        for instance in &mut request.service.instances {
            instance.healthy = true;
            instance.weight = instance.weight.min(100);
        }
        // Whether a placeholder becomes DNS is decided by the first ones together.
        request.entry.resolution = request.entry.resolution.filter(|kind| *kind != Resolution::None).or(Some(Resolution::Static));
        if let Verdict::Update(update) = run(&request).verdict {
            write(&mut request, &update);
        }
        let all = run(&request);
        if all.verdict == Verdict::Rejected {
            return Ok(());
        }
        let mut together = BTreeSet::new();
        for (index, instance) in request.service.instances.iter().enumerate() {
            let mut alone = request.clone();
            alone.service.instances = vec![instance.clone()];
            let alone = run(&alone);
            prop_assert_eq!(reasons(&alone, 0), reasons(&all, index));
            together.extend(served(&alone));
        }
        prop_assert_eq!(served(&all), together);
    }

    /// A derived port stays as it is, whoever comes.
    #[test]
    fn derived_ports_are_kept(request in hostile::request(), others in hostile::request()) {
        if let Verdict::Update(update) = run(&request).verdict {
            let mut again = request;
            write(&mut again, &update);
            again.service.instances = others.service.instances;
            if let Verdict::Update(after) = run(&again).verdict {
                for port in &update.ports {
                    prop_assert!(after.ports.contains(port), "{port:?} is gone from {:?}", after.ports);
                }
            }
        }
    }
}
