//! Entries leave their services and come back to them, or to others, many at once and faster than anybody looks.
//!
//! By default there are few rounds. `POLARIS2ISTIO_ROUNDS=20` makes it the measure of a release.

use futures::StreamExt;
use futures::stream;
use kube::api::ListParams;
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::SOON;
use super::controller::Controller;
use super::entry::addresses;
use super::world::World;

/// How many entries there are, each with a service of its own.
const ENTRIES: usize = 60;

/// How many clients change them.
const CLIENTS: usize = 32;

/// How often all of them are changed.
fn rounds() -> usize {
    std::env::var("POLARIS2ISTIO_ROUNDS").map_or(2, |rounds| rounds.parse().expect("POLARIS2ISTIO_ROUNDS is a number"))
}

fn name(number: usize) -> String {
    format!("s{number}")
}

fn host(number: usize) -> String {
    format!("10.0.0.{}", number + 1)
}

/// So many entries in step with their services.
async fn stage(test: &str) -> Option<(World, Controller)> {
    let (world, _) = World::shared(test).await?;
    let controller = world.controller().start();
    let instances: Vec<_> = (0..ENTRIES).map(|number| world.instance(&name(number), &host(number))).collect();
    world.admin.register_all(&instances).await;
    world.admin.pull(&world.namespace).await;
    for_all(|number| {
        let (world, entry) = (&world, world.entry(&name(number)));
        async move { world.create(&entry).await }
    })
    .await;
    let services: Vec<_> = (0..ENTRIES).collect();
    settle(&world, "at first", &services).await;
    Some((world, controller))
}

/// Does something to all entries, as so many clients do.
async fn for_all<F: Future<Output = ()>>(act: impl Fn(usize) -> F) {
    stream::iter(0..ENTRIES).for_each_concurrent(CLIENTS, act).await;
}

/// Waits until each entry has the instance of its service, and no other.
async fn settle(world: &World, when: &str, services: &[usize]) {
    wait_for(&format!("every entry has its service's instance, {when}"), SOON, || async {
        let listed = world.entries.list(&ListParams::default()).await.unwrap();
        let entries: Vec<Value> = listed.items.iter().map(|entry| serde_json::to_value(entry).unwrap()).collect();
        let wrong: Vec<_> = services
            .iter()
            .enumerate()
            .filter_map(|(number, service)| {
                let entry = entries.iter().find(|entry| entry["metadata"]["name"] == name(number));
                let found = entry.map(addresses);
                (found.as_deref() != Some(&[&*host(*service)])).then(|| format!("{}: {found:?}", name(number)))
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("{} wrong: {wrong:?}", wrong.len())) }
    })
    .await;
}

/// Whose service an entry swaps with in a round: no two meet twice within all rounds, since what goes back and forth is
/// written more and more slowly.
fn partner(number: usize, round: usize) -> usize {
    let others = ENTRIES - 1;
    match number {
        last if last == others => (0..others).find(|other| 2 * other % others == round % others).unwrap(),
        one if 2 * one % others == round % others => others,
        one => (round % others + others - one) % others,
    }
}

#[tokio::test]
async fn sixty_entries_swap_their_services_in_pairs_at_once() {
    let Some((world, _controller)) = stage("swapped").await else { return };
    let mut services: Vec<_> = (0..ENTRIES).collect();
    for round in 0..rounds() {
        services = (0..ENTRIES).map(|number| services[partner(number, round)]).collect();
        for_all(|number| {
            let (world, service) = (&world, name(services[number]));
            let patch = json!({"metadata": {"annotations": {"aeraki.net/polarisService": service}}});
            async move { world.patch(&name(number), "operator", &patch).await }
        })
        .await;
        settle(&world, &format!("after swap {round}"), &services).await;
    }
}

#[tokio::test]
async fn sixty_entries_are_deleted_and_made_anew_by_many_clients() {
    let Some((world, _controller)) = stage("recreated").await else { return };
    let services: Vec<_> = (0..ENTRIES).collect();
    for round in 0..rounds() {
        for_all(|number| {
            let (world, entry) = (&world, world.entry(&name(number)));
            async move {
                world.delete(entry.name()).await;
                world.create(&entry).await;
            }
        })
        .await;
        settle(&world, &format!("after round {round}"), &services).await;
    }
}
