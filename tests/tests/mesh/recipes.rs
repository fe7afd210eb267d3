//! The recipes of `deploy/docs/recipes.md`, taken from there, and tried.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures::future::join_all;
use polaris2istio_tests::servers::Envoy;
use polaris2istio_tests::{Backend, wait_for};

use super::SOON;
use super::load::Load;
use super::mesh::{Callable, Mesh};
use super::traffic::{answered, instance};
use super::world::World;

const NEARBY: &str = "Nearby instances first";
const BREAKING: &str = "Circuit breaking";
/// Tried with the weights, in `traffic.rs`.
pub(crate) const CANARY: &str = "A canary by version";
const STICKY: &str = "Sticky by a header";

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/docs/recipes.md")).unwrap()
}

/// What a section of the document has to apply.
fn section<'a>(document: &'a str, title: &str) -> Vec<&'a str> {
    let (_, rest) = document.split_once(&format!("\n## {title}\n")).expect("the document has the section");
    let section = rest.split("\n## ").next().unwrap();
    section.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A recipe for an entry of a test's, in place of the one that the document is about.
pub(crate) fn text(title: &str, world: &World, callable: &Callable) -> String {
    let text = section(&document(), title).join("---\n");
    assert!(text.contains("dev.orders.polaris") && text.contains("name: orders"), "{text}");
    let text = text.replace("dev.orders.polaris", &callable.host);
    let text = text.replace("name: orders", &format!("name: {}", callable.entry.name()));
    text.replace("namespace: polaris", &format!("namespace: {}", world.namespace))
}

#[test]
fn every_recipe_is_tried() {
    let document = document();
    let titles = document.lines().filter_map(|line| line.strip_prefix("## "));
    let with_blocks: Vec<_> = titles.filter(|title| !section(&document, title).is_empty()).collect();
    assert_eq!(with_blocks, [NEARBY, BREAKING, CANARY, STICKY]);
}

/// Who answers so many requests.
async fn answers(envoy: &Envoy, callable: &Callable, count: usize, headers: &[(&str, &str)]) -> BTreeSet<String> {
    let mut answers = BTreeSet::new();
    for _ in 0..count {
        let answer = envoy.get_with(&callable.host, callable.port, headers).await;
        answers.insert(answer.unwrap_or_else(|error| error));
    }
    answers
}

/// Waits until so many requests are answered by just these, one or the other.
async fn answered_by(envoy: &Envoy, callable: &Callable, count: usize, names: &[&str]) {
    wait_for(&format!("{names:?} answer"), SOON, || async {
        let found = answers(envoy, callable, count, &[]).await;
        if found.iter().eq(names) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

#[tokio::test]
async fn recipes_do_what_they_say() {
    let Some(mesh) = Mesh::shared().await else { return };
    let (world, envoy) = (mesh.world("recipes").await, Arc::new(mesh.envoy_in("here", "zone-1").await));
    let _controller = world.controller().switch("allow-loopback").start();
    nearby(mesh, &world, &envoy).await;
    breaking(mesh, &world, &envoy).await;
    sticky(mesh, &world, &envoy).await;
}

async fn nearby(mesh: &Mesh, world: &World, envoy: &Arc<Envoy>) {
    let near = Callable::new(world, "near");
    let (here, there) = (Backend::start("here").await, Backend::start("there").await);
    for (backend, region) in [(&here, "here"), (&there, "there")] {
        world.admin.register(&instance(world, "near", backend).location(region, "zone-1", "")).await;
    }
    world.create(&near.entry).await;
    answered(envoy, &near, &[], "there").await;
    let recipe = text(NEARBY, world, &near);
    // Without the detection of outliers Istio knows no failover, and goes anywhere.
    let (without, _) = recipe.split_once("    outlierDetection:").unwrap();
    mesh.apply_text(without).await;
    answered_by(envoy, &near, 50, &["here", "there"]).await;
    mesh.apply_text(&recipe).await;
    answered_by(envoy, &near, 50, &["here"]).await;
    // It is still listed, and does not answer any more.
    drop(here);
    let load = Load::start(envoy, &near.host, near.port);
    load.answered_only_by("there").await;
}

async fn breaking(mesh: &Mesh, world: &World, envoy: &Arc<Envoy>) {
    let fit = Callable::new(world, "fit");
    let (well, sick) = (Backend::start("well").await, Backend::start_sick("sick").await);
    for backend in [&well, &sick] {
        world.admin.register(&instance(world, "fit", backend)).await;
    }
    world.create(&fit.entry).await;
    answered(envoy, &fit, &[], "well").await;
    assert_eq!(answers(envoy, &fit, 50, &[]).await.len(), 2, "both answer, one with an error");
    mesh.apply_text(&text(BREAKING, world, &fit)).await;
    answered_by(envoy, &fit, 50, &["well"]).await;
    // More at once than the recipe lets through.
    wait_for("some of many at once are refused", SOON, || async {
        let all = join_all((0..200).map(|_| envoy.get(&fit.host, fit.port))).await;
        let refused =
            all.iter().filter(|answer| answer.as_ref().is_err_and(|error| error.contains("overflow"))).count();
        if refused > 0 && refused < all.len() { Ok(()) } else { Err(format!("{refused}, the last {:?}", all.last())) }
    })
    .await;
}

async fn sticky(mesh: &Mesh, world: &World, envoy: &Arc<Envoy>) {
    let loyal = Callable::new(world, "loyal");
    let (one, two) = (Backend::start("one").await, Backend::start("two").await);
    for backend in [&one, &two] {
        world.admin.register(&instance(world, "loyal", backend)).await;
    }
    world.create(&loyal.entry).await;
    answered(envoy, &loyal, &[], "one").await;
    answered(envoy, &loyal, &[], "two").await;
    mesh.apply_text(&text(STICKY, world, &loyal)).await;
    let users: Vec<String> = (0..20).map(|number| format!("user-{number}")).collect();
    wait_for("each user stays with one", SOON, || async {
        let mut homes = BTreeMap::new();
        for user in &users {
            homes.insert(user, answers(envoy, &loyal, 5, &[("x-user", user)]).await);
        }
        let loyal = homes.values().all(|home| home.len() == 1);
        let spread = homes.values().collect::<BTreeSet<_>>().len() == 2;
        if loyal && spread { Ok(()) } else { Err(format!("{homes:?}")) }
    })
    .await;
}
