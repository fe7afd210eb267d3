//! The operator's commands, over the socket.

use std::os::unix::fs::PermissionsExt;

use polaris2istio::rollout::{Command, Decision};

use super::{Rollout, active, candidate, digest};

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

    rollout.command(Command::Promote).await.unwrap();
    rollout.until_tagged("two", 4).await;
    let state = rollout.status().await;
    assert_eq!((active(&state), state.candidate), (digest("tag-two"), None));

    rollout.command(Command::Rollback).await.unwrap();
    rollout.until_tagged("one", 4).await;
    assert_eq!(rollout.outputs(), before);
    let refused = rollout.command(Command::Rollback).await.unwrap_err();
    assert!(refused.contains("no module was active before"), "{refused}");

    // A module that was rolled back is no candidate, and yet the operator may promote it.
    rollout.command(Command::Promote).await.unwrap();
    rollout.until_tagged("two", 4).await;
    assert!(rollout.status().await.refused.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn reject() {
    let rollout = start().await;
    let refused = rollout.command(Command::Reject).await.unwrap_err();
    assert!(refused.contains("there is no candidate"), "{refused}");
    rollout.offer("tag-two");
    rollout.until("it waits", |state| candidate(state) == digest("tag-two")).await;
    rollout.command(Command::Reject).await.unwrap();
    let state = rollout.status().await;
    assert_eq!((active(&state), state.candidate), (digest("tag-one"), None));
    assert_eq!(state.refused[0].reason, "by command");
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
    rollout.command(Command::Promote).await.unwrap();
    rollout.until_tagged("none", 4).await;
    rollout.command(Command::Rollback).await.unwrap();
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
