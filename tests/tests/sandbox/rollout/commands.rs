//! The operator's commands, over the socket.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use polaris2istio::rollout::{Command, Decision};

use super::{Rollout, active, candidate, digest, named};

async fn start() -> Rollout {
    Rollout::start(4, |config, _| config.modules.policy.decision = Decision::Review).await
}

#[tokio::test(flavor = "multi_thread")]
async fn promote_and_roll_back() {
    let rollout = start().await;
    let before = rollout.outputs();
    rollout.offer("tag-two");
    let state = rollout.until("it waits", |state| candidate(state) == digest("tag-two")).await;
    assert_eq!(state.candidate.unwrap().objections, ["--swap review asks a person every time"]);
    assert_eq!(rollout.outputs(), before);
    let diff = rollout.command(Command::Diff).await.unwrap();
    assert_eq!((&diff["report"]["changed"], &diff["report"]["failed"]), (&4.into(), &0.into()), "{diff}");
    assert_eq!(diff["candidate"]["module"], digest("tag-two"));

    rollout.command(Command::Promote(named("tag-two"))).await.unwrap();
    rollout.until_tagged("two", 4).await;
    let state = rollout.status().await;
    assert_eq!((active(&state), state.candidate), (digest("tag-two"), None));

    rollout.command(Command::Rollback(named("tag-one"))).await.unwrap();
    rollout.until_tagged("one", 4).await;
    assert_eq!(rollout.outputs(), before);
    let refused = rollout.command(Command::Rollback(named("tag-one"))).await.unwrap_err();
    assert!(refused.contains("is the module in use already"), "{refused}");

    // A module that was rolled back is no candidate, and yet the operator may promote it.
    rollout.command(Command::Promote(named("tag-two"))).await.unwrap();
    rollout.until_tagged("two", 4).await;
    assert!(rollout.status().await.refused.is_empty());
}

/// A person looked at one module, and another one came: the decision is not about that.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_about_the_module_that_was_looked_at() {
    let rollout = start().await;
    rollout.offer("tag-two");
    rollout.until("it waits", |state| candidate(state) == digest("tag-two")).await;
    rollout.offer("empty");
    rollout.until("another waits", |state| candidate(state) == digest("empty")).await;
    let name = named("empty").to_string();
    let waits = format!("the one that waits is {}", &name[..12]);
    for command in [Command::Promote, Command::Reject] {
        let refused = rollout.command(command(named("tag-two"))).await.unwrap_err();
        assert!(refused.contains("waits; ") && refused.contains(&waits), "{refused}");
    }
    let refused = rollout.command(Command::Rollback(named("tag-two"))).await.unwrap_err();
    assert!(refused.contains("ran before; no module was active before this one"), "{refused}");
    let state = rollout.status().await;
    assert_eq!((active(&state), candidate(&state)), (digest("tag-one"), digest("empty")));
}

/// Ten that were active can be gone back to, each by its name; also one that was left for its troubles.
#[tokio::test(flavor = "multi_thread")]
async fn any_of_the_last_can_be_gone_back_to() {
    let rollout = Rollout::start(2, |config, world| config.modules.cache = Some(world.path("cache"))).await;
    for number in 0..11 {
        rollout.offer(&format!("tag-{number}"));
        rollout.until_tagged(&number.to_string(), 2).await;
    }
    let state = rollout.status().await;
    let earlier: Vec<_> = state.earlier.iter().map(|record| record.identity.module.to_string()).collect();
    let expected: Vec<_> = (0..10).rev().map(|number| digest(&format!("tag-{number}"))).collect();
    assert_eq!(earlier, expected);
    let refused = rollout.command(Command::Rollback(named("tag-one"))).await.unwrap_err();
    assert!(refused.contains("those that did: "), "it is the eleventh: {refused}");
    for to in ["3", "7", "3"] {
        rollout.command(Command::Rollback(named(&format!("tag-{to}")))).await.unwrap();
        rollout.until_tagged(to, 2).await;
    }
    let state = rollout.status().await;
    assert_eq!(state.earlier[0].identity.module.to_string(), digest("tag-7"));
    assert_eq!(state.earlier.len(), 10);
}

/// The module in use can be approved in what it does: endpoints that are held because it drops them are let go.
#[tokio::test(flavor = "multi_thread")]
async fn the_module_in_use_is_approved() {
    let rollout = start().await;
    let approved = rollout.command(Command::Promote(named("tag-one"))).await.unwrap();
    assert_eq!(approved["active"]["module"], digest("tag-one"));
    assert_eq!(rollout.status().await.earlier.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reject() {
    let rollout = start().await;
    let refused = rollout.command(Command::Reject(named("tag-two"))).await.unwrap_err();
    assert!(refused.contains("waits; there is no candidate"), "{refused}");
    rollout.offer("tag-two");
    rollout.until("it waits", |state| candidate(state) == digest("tag-two")).await;
    rollout.command(Command::Reject(named("tag-two"))).await.unwrap();
    let state = rollout.status().await;
    assert_eq!((active(&state), state.candidate), (digest("tag-one"), None));
    let user = std::fs::metadata("/proc/self").unwrap().uid();
    let expected = format!("by command of user {user}, process {} on ", std::process::id());
    assert!(state.refused[0].reason.starts_with(&expected), "{}", state.refused[0].reason);
    // Another one is another matter.
    rollout.offer("tag-three");
    rollout.until("it waits", |state| candidate(state) == digest("tag-three")).await;
    // The source goes back: then nothing waits.
    rollout.offer("tag-one");
    rollout.until("nothing waits", |state| state.candidate.is_none()).await;
}

/// Endpoints that a module removed come back at once when it is rolled back, and those that it added go, whatever the
/// holds say.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_before_comes_back_past_holds() {
    let rollout = start().await;
    let before = rollout.outputs();
    rollout.offer("empty");
    rollout.until("it waits", |state| candidate(state) == digest("empty")).await;
    rollout.command(Command::Promote(named("empty"))).await.unwrap();
    rollout.until_tagged("none", 4).await;
    rollout.command(Command::Rollback(named("tag-one"))).await.unwrap();
    rollout.until_tagged("one", 4).await;
    assert_eq!(rollout.outputs(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_its_owners() {
    let rollout = start().await;
    let mode = std::fs::metadata(rollout.world.path("socket")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let path = rollout.world.path("socket");
    let second = polaris2istio::control::Socket::bind(&path).await.map(drop).unwrap_err();
    assert!(second.to_string().contains("another controller serves it"), "{second}");
    rollout.running.stop().await;
    assert!(!path.exists());
}
