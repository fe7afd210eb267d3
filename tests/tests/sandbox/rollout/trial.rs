//! A canary: a module on a share of the entries first.

use std::time::Duration;

use polaris2istio::percent::Percent;
use polaris2istio::rollout::{Command, Decision};

use super::{Rollout, active, digest, named};

const ENTRIES: usize = 30;

async fn start(share: u8, time: Duration) -> Rollout {
    Rollout::start(ENTRIES, |config, world| {
        world.entry_with("entry-0", ", aeraki.net/module: candidate");
        config.modules.policy.decision = Decision::Canary(Percent::new(share));
        config.modules.policy.canary_time = time;
        config.modules.cache = Some(world.path("cache"));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_first_and_then_all() {
    let rollout = start(30, Duration::from_secs(3600)).await;
    rollout.offer("tag-two");
    let state = rollout.until("it is on trial", |state| state.canary.is_some()).await;
    assert_eq!(active(&state), digest("tag-one"));
    rollout.refresh(ENTRIES, "10.0.0.8").await;
    let share = rollout.tags()["two"];
    assert!((3..=18).contains(&share), "{share} of {ENTRIES} entries");
    // The same entries after a restart, none of them written anew.
    let before = rollout.outputs();
    assert!(before["polaris.entry-0.yaml"].contains("tag: two"));
    let rollout = rollout
        .restart(|config, world| {
            config.modules.policy.decision = Decision::Canary(Percent::new(30));
            config.modules.cache = Some(world.path("cache"));
        })
        .await;
    rollout.world.answer("entry-0", None, &["10.0.0.9"]);
    rollout.until_addresses(0, &["10.0.0.9"]).await;
    let mut after = rollout.outputs();
    after.insert("polaris.entry-0.yaml".into(), before["polaris.entry-0.yaml"].clone());
    assert_eq!(after, before);
    rollout.command(Command::Promote(named("tag-two"))).await.unwrap();
    rollout.until_tagged("two", ENTRIES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_when_its_time_is_over() {
    let rollout = start(0, Duration::from_secs(1)).await;
    rollout.offer("tag-two");
    rollout.until_tagged("two", ENTRIES).await;
    let state = rollout.status().await;
    assert_eq!((active(&state), state.canary), (digest("tag-two"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_back_from_its_share() {
    let rollout = start(0, Duration::from_secs(3600)).await;
    let before = rollout.outputs();
    rollout.offer("tag-two");
    rollout.until_tagged("two", 1).await;
    rollout.command(Command::Rollback(named("tag-one"))).await.unwrap();
    rollout.until_tagged("one", ENTRIES).await;
    assert_eq!(rollout.outputs(), before);
    let state = rollout.status().await;
    assert_eq!((active(&state), state.canary), (digest("tag-one"), None));
    assert_eq!(state.refused[0].identity.module.to_string(), digest("tag-two"));
}

/// Its troubles are its own: the active module stays, also where that is on trial itself, and is not refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_canary_costs_itself_alone() {
    let rollout = start(50, Duration::from_secs(3600)).await;
    rollout.offer("tag-two");
    rollout.until("it is on trial", |state| state.canary.is_some()).await;
    rollout.command(Command::Promote(named("tag-two"))).await.unwrap();
    rollout.until_tagged("two", ENTRIES).await;
    rollout.offer("panic-at-10.0.66.6");
    rollout.until("it is on trial", |state| state.canary.is_some()).await;
    for number in 0..ENTRIES {
        rollout.world.answer(&super::name(number), None, &["10.0.66.6"]);
    }
    let state = rollout.until("it is taken back", |state| state.canary.is_none()).await;
    for number in 0..ENTRIES {
        rollout.until_addresses(number, &["10.0.66.6"]).await;
    }
    let refused: Vec<_> = state.refused.iter().map(|refused| refused.identity.module.to_string()).collect();
    assert_eq!(refused, [digest("panic-at-10.0.66.6")]);
    let state = rollout.status().await;
    assert_eq!((active(&state), state.refused.len()), (digest("tag-two"), 1));
    assert_eq!(state.earlier[0].identity.module.to_string(), digest("tag-one"));
}
