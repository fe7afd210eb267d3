//! The state that outlives a restart.

use polaris2istio::rollout::Command;
use polaris2istio::source::{ModuleBytes, Source};
use serde_json::{Value, json};

use super::{Swaps, active, candidate, digest, name};
use crate::world::World;

/// A new release brings another embedded module; here another file while nothing runs. It goes through the same change.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_came_meanwhile_is_compared() {
    let keep = |config: &mut polaris2istio::run::Config, world: &crate::world::World| {
        config.modules.settings.cache = Some(world.path("cache"));
    };
    let swaps = Swaps::start(3, keep).await;
    let before = swaps.outputs();
    swaps.offer("empty");
    let swaps = swaps.restart(keep).await;
    let state = swaps.until("it waits", |state| state.candidate.is_some()).await;
    assert_eq!((active(&state), candidate(&state)), (digest("tag-one"), digest("empty")));
    assert_eq!(swaps.outputs(), before);
    swaps.offer("tag-two");
    let swaps = swaps.restart(keep).await;
    swaps.until_tagged("two", 3).await;
}

/// Without the module that was in use nothing is written until the other one is approved: by the content of the entries, or
/// by the operator.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_module_is_not_replaced_blindly() {
    let swaps = Swaps::start(3, |_, _| {}).await;
    let before = swaps.outputs();
    swaps.offer("empty");
    let swaps = swaps.restart(|_, _| {}).await;
    let state = swaps.until("it waits", |state| state.candidate.is_some()).await;
    let objections = state.candidate.as_ref().unwrap().objections.join("; ");
    assert!(objections.contains("6 of 6 endpoints"), "{objections}");
    swaps.world.answer("entry-0", None, &["10.0.0.1", "10.0.0.2", "10.0.0.9"]);
    swaps.until("the answer is seen", |state| active(state) == digest("tag-one")).await;
    assert_eq!(swaps.outputs(), before);
    swaps.offer("tag-two");
    swaps.until_tagged("two", 3).await;
    swaps.until_addresses(0, &["10.0.0.1", "10.0.0.2", "10.0.0.9"]).await;
}

/// A rollback of the controller: the state was written by a later release, with a candidate that this one cannot read. It goes on
/// with the module that was in use, compares anew what waits, and knows what was refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_a_later_release_is_gone_on_with() {
    let keep = |config: &mut polaris2istio::run::Config, world: &crate::world::World| {
        config.modules.settings.cache = Some(world.path("cache"));
    };
    let swaps = Swaps::start(3, keep).await;
    swaps.offer("tag-two");
    swaps.until_tagged("two", 3).await;
    swaps.command(Command::Rollback).await.unwrap();
    swaps.until_tagged("one", 3).await;
    swaps.offer("empty");
    swaps.until("it waits", |state| state.candidate.is_some()).await;
    let swaps = swaps
        .restart(|config, world| {
            keep(config, world);
            let state = std::fs::read(world.path("state.json")).unwrap();
            let mut state: Value = serde_json::from_slice(&state).unwrap();
            state["module"]["active"]["addedLater"] = json!(["of a later release"]);
            state["module"]["history"][0]["what"] = json!("tried-elsewhere");
            state["module"]["candidate"]["report"]["largest"][0]["status"] = json!("doubtful");
            std::fs::write(world.path("state.json"), state.to_string()).unwrap();
        })
        .await;
    let state = swaps.until("it waits again", |state| state.candidate.is_some()).await;
    assert_eq!((active(&state), candidate(&state)), (digest("tag-one"), digest("empty")));
    assert_eq!(state.refused[0].identity.module.to_string(), digest("tag-two"));
    swaps.refresh(3, "10.0.0.9").await;
    assert_eq!(swaps.tags().get("one"), Some(&3));
}

/// The source is gone, and the module goes on from the cache.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_costs_nothing() {
    let swaps = Swaps::start(2, |config, world| config.modules.settings.cache = Some(world.path("cache"))).await;
    std::fs::remove_file(swaps.world.module()).unwrap();
    let swaps = swaps.restart(|config, world| config.modules.settings.cache = Some(world.path("cache"))).await;
    swaps.world.answer("entry-0", None, &["10.0.0.9"]);
    swaps.until_addresses(0, &["10.0.0.9"]).await;
    assert_eq!(swaps.tags().get("one"), Some(&2));
    assert!(
        matches!(swaps.status().await.active, Some(record) if record.identity.module.to_string() == digest("tag-one"))
    );
}

/// The default rules were in use, and are in every binary that has the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_module_is_never_lost() {
    let world = World::new();
    world.entry(&name(0));
    world.answer(&name(0), None, &["10.0.0.1"]);
    let running = world.start(|config| config.modules.source = Source::Embedded);
    let swaps = Swaps { world, running };
    swaps.until_addresses(0, &["10.0.0.1"]).await;
    swaps.offer("empty");
    let swaps = swaps.restart(|_, _| {}).await;
    let state = swaps.until("it waits", |state| state.candidate.is_some()).await;
    assert_eq!(active(&state), ModuleBytes::embedded().digest.to_string());
    swaps.world.answer(&name(0), None, &["10.0.0.1", "10.0.0.2"]);
    swaps.until_addresses(0, &["10.0.0.1", "10.0.0.2"]).await;
}

/// Neither the one nor the other: the process says so and ends, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn without_any_module_nothing_begins() {
    let swaps = Swaps::start(2, |_, _| {}).await;
    let before = swaps.outputs();
    let Swaps { world, running } = swaps;
    running.stop().await;
    std::fs::remove_file(world.module()).unwrap();
    let error = world.start(|_| {}).ended().await.unwrap_err().to_string();
    assert!(error.contains(world.module().to_str().unwrap()), "{error}");
    let after = Swaps { running: world.start(|_| {}), world }.outputs();
    assert_eq!(after, before);
}
