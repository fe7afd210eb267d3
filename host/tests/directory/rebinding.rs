//! Entries leave a service and come back to it, or others come in their place, faster than the registry's side looks.

use serde_json::{Value, json};

use super::fixture::{Bench, entry, wait};

/// How often each of it is done.
const ROUNDS: usize = 20;

/// An entry of a name of its own that follows a service.
fn bound(name: &str, service: &str) -> Value {
    let mut entry = entry(service, json!({}));
    entry["metadata"]["name"] = name.into();
    entry["spec"]["hosts"] = json!([format!("dev.{name}.polaris")]);
    entry
}

/// Writes these entries as one file, so that they change at once.
fn write(bench: &Bench, entries: &[Value]) {
    let documents: Vec<_> = entries.iter().map(ToString::to_string).collect();
    bench.write("entries/shop.yaml", documents.join("\n---\n"));
}

#[test]
fn the_only_entry_of_a_service_is_renamed_in_place() {
    let bench = Bench::new();
    bench.answer("reviews", &[("10.0.0.1", 100), ("10.0.0.2", 100)]);
    write(&bench, &[bound("reviews-0", "reviews")]);
    let _running = bench.start(&[]);
    bench.expect("reviews-0", &["10.0.0.1", "10.0.0.2"]);
    for round in 1..=ROUNDS {
        let name = format!("reviews-{round}");
        write(&bench, &[bound(&name, "reviews")]);
        bench.expect(&name, &["10.0.0.1", "10.0.0.2"]);
    }
}

#[test]
fn two_entries_swap_their_services_at_once() {
    let bench = Bench::new();
    let names: Vec<_> = (0..2 * ROUNDS).map(|number| format!("s{number}")).collect();
    let address = |number: usize| format!("10.0.0.{}", number + 1);
    for (number, service) in names.iter().enumerate() {
        bench.answer(service, &[(&address(number), 100)]);
    }
    // Each pair is swapped once: what goes back and forth is written more and more slowly.
    let mut services: Vec<usize> = (0..names.len()).collect();
    let entries = |services: &[usize]| -> Vec<_> {
        services.iter().zip(&names).map(|(service, name)| bound(name, &names[*service])).collect()
    };
    write(&bench, &entries(&services));
    let _running = bench.start(&[]);
    let check = |services: &[usize]| {
        for (service, name) in services.iter().zip(&names) {
            bench.expect(name, &[&address(*service)]);
        }
    };
    check(&services);
    for round in 0..ROUNDS {
        services.swap(2 * round, 2 * round + 1);
        write(&bench, &entries(&services));
        check(&services);
    }
}

#[test]
fn an_entry_is_deleted_and_made_anew() {
    let bench = Bench::new();
    bench.answer("other", &[("10.0.0.9", 100)]);
    let (other, reviews) = (bound("other", "other"), bound("reviews", "reviews"));
    bench.answer("reviews", &[("10.0.0.1", 100), ("10.0.0.2", 100)]);
    write(&bench, &[other.clone(), reviews.clone()]);
    let _running = bench.start(&[]);
    bench.expect("other", &["10.0.0.9"]);
    for round in 0..ROUNDS {
        bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
        write(&bench, std::slice::from_ref(&other));
        // Now and then nobody waits until it is gone.
        if round % 2 == 0 {
            wait("the output goes", || bench.output("reviews").map_or(Ok(()), |_| Err("it is there".into())));
        }
        write(&bench, &[other.clone(), reviews.clone()]);
    }
    bench.expect("reviews", &["10.0.0.1", "10.0.0.2"]);
}
