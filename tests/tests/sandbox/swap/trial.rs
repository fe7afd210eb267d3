//! A canary: a module on a share of the entries first.

use std::time::Duration;

use polaris2istio::percent::Percent;
use polaris2istio::rollout::{Command, Decision};

use super::{Swaps, active, digest};

const ENTRIES: usize = 30;

async fn start(share: u8, time: Duration) -> Swaps {
    Swaps::start(ENTRIES, |config, world| {
        world.entry_with("entry-0", ", aeraki.net/module: candidate");
        config.modules.policy.decision = Decision::Canary(Percent::new(share));
        config.modules.policy.canary_time = time;
        config.modules.settings.cache = Some(world.path("cache"));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_first_and_then_all() {
    let swaps = start(30, Duration::from_secs(3600)).await;
    swaps.offer("tag-two");
    let state = swaps.until("it is on trial", |state| state.canary.is_some()).await;
    assert_eq!(active(&state), digest("tag-one"));
    swaps.refresh(ENTRIES, "10.0.0.8").await;
    let share = swaps.tags()["two"];
    assert!((3..=18).contains(&share), "{share} of {ENTRIES} entries");
    // The same entries after a restart, none of them written anew.
    let before = swaps.outputs();
    assert!(before["polaris.entry-0.yaml"].contains("tag: two"));
    let swaps = swaps
        .restart(|config, world| {
            config.modules.policy.decision = Decision::Canary(Percent::new(30));
            config.modules.settings.cache = Some(world.path("cache"));
        })
        .await;
    swaps.world.answer("entry-0", None, &["10.0.0.9"]);
    swaps.until_addresses(0, &["10.0.0.9"]).await;
    let mut after = swaps.outputs();
    after.insert("polaris.entry-0.yaml".into(), before["polaris.entry-0.yaml"].clone());
    assert_eq!(after, before);
    swaps.command(Command::Promote).await.unwrap();
    swaps.until_tagged("two", ENTRIES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_when_its_time_is_over() {
    let swaps = start(0, Duration::from_secs(1)).await;
    swaps.offer("tag-two");
    swaps.until_tagged("two", ENTRIES).await;
    let state = swaps.status().await;
    assert_eq!((active(&state), state.canary), (digest("tag-two"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_back_from_its_share() {
    let swaps = start(0, Duration::from_secs(3600)).await;
    let before = swaps.outputs();
    swaps.offer("tag-two");
    swaps.until_tagged("two", 1).await;
    swaps.command(Command::Rollback).await.unwrap();
    swaps.until_tagged("one", ENTRIES).await;
    assert_eq!(swaps.outputs(), before);
    let state = swaps.status().await;
    assert_eq!((active(&state), state.canary), (digest("tag-one"), None));
    assert_eq!(state.refused[0].identity.module.to_string(), digest("tag-two"));
}
