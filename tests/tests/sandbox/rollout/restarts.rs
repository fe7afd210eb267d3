//! The state that outlives a restart.

use std::sync::Arc;

use polaris2istio::rollout::{Command, Process};
use polaris2istio::source::{ModuleBytes, NamedSource, Source};
use polaris2istio_tests::wait_for;
use serde_json::{Value, json};

use super::{Rollout, active, candidate, digest, name, named};
use crate::world::World;

/// A new release brings another embedded module; here another file while nothing runs. It goes through the same change.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_came_meanwhile_is_compared() {
    let keep = |config: &mut polaris2istio::run::Config, world: &crate::world::World| {
        config.modules.cache = Some(world.path("cache"));
    };
    let rollout = Rollout::start(3, keep).await;
    let before = rollout.outputs();
    rollout.offer("empty");
    let rollout = rollout.restart(keep).await;
    let state = rollout.until("it waits", |state| state.candidate.is_some()).await;
    assert_eq!((active(&state), candidate(&state)), (digest("tag-one"), digest("empty")));
    assert_eq!(rollout.outputs(), before);
    rollout.offer("tag-two");
    let rollout = rollout.restart(keep).await;
    rollout.until_tagged("two", 3).await;
}

/// Without the module that was in use nothing is written until the other one is approved: by the content of the entries, or
/// by the operator.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_module_is_not_replaced_blindly() {
    let rollout = Rollout::start(3, |_, _| {}).await;
    let before = rollout.outputs();
    rollout.offer("empty");
    let rollout = rollout.restart(|_, _| {}).await;
    let state = rollout.until("it waits", |state| state.candidate.is_some()).await;
    let objections = state.candidate.as_ref().unwrap().objections.join("; ");
    assert!(objections.contains("6 of 6 endpoints"), "{objections}");
    rollout.world.answer("entry-0", None, &["10.0.0.1", "10.0.0.2", "10.0.0.9"]);
    rollout.until("the answer is seen", |state| active(state) == digest("tag-one")).await;
    assert_eq!(rollout.outputs(), before);
    rollout.offer("tag-two");
    rollout.until_tagged("two", 3).await;
    rollout.until_addresses(0, &["10.0.0.1", "10.0.0.2", "10.0.0.9"]).await;
}

/// A rollback of the controller: the state was written by a later release, with a candidate that this one cannot read. It goes on
/// with the module that was in use, compares anew what waits, and knows what was refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_a_later_release_is_gone_on_with() {
    let keep = |config: &mut polaris2istio::run::Config, world: &crate::world::World| {
        config.modules.cache = Some(world.path("cache"));
    };
    let rollout = Rollout::start(3, keep).await;
    rollout.offer("tag-two");
    rollout.until_tagged("two", 3).await;
    rollout.command(Command::Rollback(named("tag-one"))).await.unwrap();
    rollout.until_tagged("one", 3).await;
    rollout.offer("empty");
    rollout.until("it waits", |state| state.candidate.is_some()).await;
    let rollout = rollout
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
    let state = rollout.until("it waits again", |state| state.candidate.is_some()).await;
    assert_eq!((active(&state), candidate(&state)), (digest("tag-one"), digest("empty")));
    assert_eq!(state.refused[0].identity.module.to_string(), digest("tag-two"));
    rollout.refresh(3, "10.0.0.9").await;
    assert_eq!(rollout.tags().get("one"), Some(&3));
}

/// A process ended while it loaded a module, and may have died of it: the next one leaves it alone, says so, and takes it from a
/// person all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_a_process_died_of_is_not_tried_again() {
    let keep =
        |config: &mut polaris2istio::run::Config, world: &World| config.modules.cache = Some(world.path("cache"));
    let rollout = Rollout::start(2, keep).await;
    // By a leader elsewhere.
    let loading = json!([{"module": digest("tag-two"), "by": 7, "host": "elsewhere", "pid": 1, "candidate": true, "since": "2026-11-24T10:00:00Z"}]);
    rollout.offer("tag-two");
    rollout.until_tagged("two", 2).await;
    rollout.command(Command::Rollback(named("tag-one"))).await.unwrap();
    let rollout = rollout
        .restart(|config, world| {
            keep(config, world);
            let mut state: Value = serde_json::from_slice(&std::fs::read(world.path("state.json")).unwrap()).unwrap();
            assert_eq!(state["module"]["loading"], json!(null), "a stop in good order leaves nothing");
            state["module"]["loading"] = loading;
            state["module"]["refused"] = json!([]);
            std::fs::write(world.path("state.json"), state.to_string()).unwrap();
        })
        .await;
    rollout.until_source_fails(Some("the process that loaded it last ended")).await;
    let state = rollout.until("it is refused", |state| state.refused.len() == 1).await;
    assert_eq!((active(&state), state.candidate, state.loading), (digest("tag-one"), None, vec![]));
    assert!(state.refused[0].deadly);
    let rollout = rollout.restart(keep).await;
    rollout.until_source_fails(Some("the process that loaded it last ended")).await;
    rollout.command(Command::Promote(named("tag-two"))).await.unwrap();
    rollout.until_tagged("two", 2).await;
    rollout.until_source_fails(None).await;
}

/// Processes ended here, twice, while they loaded the module in use, and none ran before it: nothing is written until the source has
/// another one, and it is not loaded again.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_processes_died_of_is_not_begun_with() {
    let rollout = Rollout::start(2, |_, _| {}).await;
    let before = rollout.outputs();
    let here = Process::here(None);
    let rollout = rollout
        .restart(|_, world| {
            let mut state: Value = serde_json::from_slice(&std::fs::read(world.path("state.json")).unwrap()).unwrap();
            let (module, since) = (digest("tag-one"), "2026-11-24T10:00:00Z");
            state["module"]["loading"] =
                json!([{"module": module, "by": 7, "host": here.host, "pid": here.pid, "since": since, "ended": 1}]);
            std::fs::write(world.path("state.json"), state.to_string()).unwrap();
        })
        .await;
    rollout.until_source_fails(Some("the process that loaded it last ended")).await;
    rollout.world.answer(&name(0), None, &["10.0.0.1", "10.0.0.2", "10.0.0.9"]);
    let rollout = rollout.restart(|_, _| {}).await;
    rollout.until_source_fails(Some("the process that loaded it last ended")).await;
    assert_eq!(rollout.outputs(), before, "no other module writes in its place");
    rollout.offer("tag-two");
    rollout.until_tagged("two", 2).await;
    rollout.until_addresses(0, &["10.0.0.1", "10.0.0.2", "10.0.0.9"]).await;
}

/// A command that reaches the leader after its giver was refused is not carried out, and one in time is, with who gave it.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_comes_too_late_is_not_carried_out() {
    let keep =
        |config: &mut polaris2istio::run::Config, world: &World| config.modules.cache = Some(world.path("cache"));
    let rollout = Rollout::start(2, keep).await;
    rollout.offer("tag-two");
    rollout.until_tagged("two", 2).await;
    let mut rollout = rollout;
    for (id, until, expected) in [(1, "2026-01-01T00:00:00Z", "two"), (2, "2126-01-01T00:00:00Z", "one")] {
        let command = json!({"module": {"rollback": named("tag-one")}});
        let by = json!({"user": 65532, "process": 17, "host": "polaris2istio-1"});
        let request = json!({"id": id, "until": until, "by": by, "command": command});
        rollout = rollout
            .restart(|config, world| {
                keep(config, world);
                let mut state: Value =
                    serde_json::from_slice(&std::fs::read(world.path("state.json")).unwrap()).unwrap();
                state["request"] = request;
                std::fs::write(world.path("state.json"), state.to_string()).unwrap();
            })
            .await;
        wait_for("it is answered", super::SOON, || async {
            let state: Value =
                serde_json::from_slice(&std::fs::read(rollout.world.path("state.json")).unwrap()).unwrap_or_default();
            if state["answer"]["id"] == json!(id) { Ok(()) } else { Err(state.to_string()) }
        })
        .await;
        rollout.until_tagged(expected, 2).await;
        assert_eq!(active(&rollout.status().await), digest(&format!("tag-{expected}")));
    }
    let reason = &rollout.status().await.refused[0].reason;
    assert_eq!(reason, "by command of user 65532, process 17 on polaris2istio-1");
}

/// The source is gone, and the module goes on from the cache.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_costs_nothing() {
    let rollout = Rollout::start(2, |config, world| config.modules.cache = Some(world.path("cache"))).await;
    std::fs::remove_file(rollout.world.module()).unwrap();
    let rollout = rollout.restart(|config, world| config.modules.cache = Some(world.path("cache"))).await;
    rollout.world.answer("entry-0", None, &["10.0.0.9"]);
    rollout.until_addresses(0, &["10.0.0.9"]).await;
    assert_eq!(rollout.tags().get("one"), Some(&2));
    assert!(
        matches!(rollout.status().await.active, Some(record) if record.identity.module.to_string() == digest("tag-one"))
    );
}

/// The default rules were in use, and are in every binary that has the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_module_is_never_lost() {
    let world = World::new();
    world.entry(&name(0));
    world.answer(&name(0), None, &["10.0.0.1"]);
    let running = world.start(|config| {
        let source = NamedSource { source: Source::Embedded, settings: Default::default() };
        config.modules.source = Arc::new(source);
    });
    let rollout = Rollout { world, running };
    rollout.until_addresses(0, &["10.0.0.1"]).await;
    rollout.offer("empty");
    let rollout = rollout.restart(|_, _| {}).await;
    let state = rollout.until("it waits", |state| state.candidate.is_some()).await;
    assert_eq!(active(&state), ModuleBytes::embedded().digest.to_string());
    rollout.world.answer(&name(0), None, &["10.0.0.1", "10.0.0.2"]);
    rollout.until_addresses(0, &["10.0.0.1", "10.0.0.2"]).await;
}

/// Neither the one nor the other: the process says so and ends, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn without_any_module_nothing_begins() {
    let rollout = Rollout::start(2, |_, _| {}).await;
    let before = rollout.outputs();
    let Rollout { world, running } = rollout;
    running.stop().await;
    std::fs::remove_file(world.module()).unwrap();
    let error = world.start(|_| {}).ended().await.unwrap_err().to_string();
    assert!(error.contains(world.module().to_str().unwrap()), "{error}");
    let after = Rollout { running: world.start(|_| {}), world }.outputs();
    assert_eq!(after, before);
}
