//! Modules that must not be taken: each costs no endpoint, and what is said tells what is wrong with it.

use polaris2istio::control::Command;
use polaris2istio::rollout::{Command as Decision, ModuleEvent, ModuleEventKind, ModuleState};
use polaris2istio_tests::wait_for;

use super::{Rollout, SOON, active, candidate, digest, named};
use crate::guest;

/// A controller beside which modules fail, and what its entries hold.
async fn start() -> Rollout {
    Rollout::start(3, |config, world| {
        config.modules.limits.time = crate::calls::TIME;
        config.modules.cache = Some(world.path("cache"));
    })
    .await
}

/// The first objection to a candidate, and the words about its first entry.
const OBJECTIONS: [(&str, &str, &str); 12] = [
    ("panic", "fails on 3 entries", "trapped"),
    ("loop", "fails on 3 entries", "ran longer than"),
    ("recurse", "fails on 3 entries", "call stack exhausted"),
    ("allocate", "fails on 3 entries", "bytes of memory"),
    ("long-output", "fails on 3 entries", "a result of more than"),
    ("forbidden-address", "fails on 3 entries", "169.254.169.254"),
    ("two-faced", "fails on 3 entries", "told that its own content revision"),
    ("empty", "6 of 6 endpoints (100.0 %) would go", ""),
    ("reject", "rejects 3 entries", ""),
    ("heavy", "6 of 6 endpoints (100.0 %) would get another weight", ""),
    ("invent", "3 of 6 endpoints (50.0 %) would come", ""),
    ("other-port", "3 of 3 entries (100.0 %) would get other ports", "spec.ports[tcp]: 8080 TCP -> 9999 TCP"),
];

#[tokio::test(flavor = "multi_thread")]
async fn bad_modules_wait_for_a_person() {
    let rollout = start().await;
    let before = rollout.outputs();
    for (behaviour, objection, note) in OBJECTIONS {
        rollout.offer(behaviour);
        let state = rollout.until(behaviour, |state| candidate(state) == digest(behaviour)).await;
        let pending = state.candidate.as_ref().unwrap();
        assert!(pending.objections[0].contains(objection), "{behaviour}: {:?}", pending.objections);
        let invents = pending
            .objections
            .iter()
            .any(|one| one.contains("3 endpoints would come at addresses at which the registry"));
        assert_eq!(invents, behaviour == "invent", "{:?}", pending.objections);
        let notes = pending.report.largest[0].notes.join("\n");
        assert!(notes.contains(note), "{behaviour}: {notes}");
        assert_eq!(active(&state), digest("tag-one"), "{behaviour}");
        assert_eq!(rollout.outputs(), before, "{behaviour}");
    }
    // All the while the module in use goes on.
    rollout.world.answer("entry-0", None, &["10.0.0.9"]);
    rollout.until_addresses(0, &["10.0.0.9"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_module_is_refused() {
    let rollout = start().await;
    let before = rollout.outputs();
    let wasi = "package acme:rules;\nworld converter { import wasi:cli/environment@0.2.0; }\n\
                package wasi:cli@0.2.0 { interface environment { get: func() -> string; } }";
    let cut = {
        let whole = guest::variant("tag-two");
        whole[..whole.len() / 2].to_vec()
    };
    let cases = [
        (guest::dummy("package acme:other; world other { export run: func(); }"), "it exports run"),
        (guest::dummy(wasi), "imports wasi:cli/environment@0.2.0"),
        (cut, "not a valid component"),
        (b"#!/bin/sh\n".to_vec(), "not WebAssembly"),
    ];
    for (bytes, problem) in cases {
        rollout.world.write("module.wasm", &bytes);
        wait_for(problem, SOON, || async {
            let history: Vec<ModuleEvent> =
                serde_json::from_value(rollout.ask(Command::ModuleHistory).await.unwrap()).unwrap();
            let last = history.last().unwrap();
            if last.what == ModuleEventKind::Unfit && last.detail.contains(problem) {
                Ok(())
            } else {
                Err(last.detail.clone())
            }
        })
        .await;
        assert_eq!(active(&rollout.status().await), digest("tag-one"), "{problem}");
        assert_eq!(rollout.outputs(), before, "{problem}");
        rollout.until_source_fails(Some(problem)).await;
    }
    for (bytes, problem) in [(Vec::new(), "it is empty"), (vec![0; 5 << 20], "5242880 bytes")] {
        rollout.world.write("module.wasm", &bytes);
        rollout.until_source_fails(Some(problem)).await;
    }
    std::fs::remove_file(rollout.world.module()).unwrap();
    rollout.until_source_fails(Some("does not exist")).await;
    rollout.offer("tag-two");
    rollout.until_tagged("two", 3).await;
    rollout.until_source_fails(None).await;
}

/// Megabytes of words with what a terminal would obey: it waits, is shown, and can be rejected, and the state stays small.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_of_many_words_is_seen_and_rejected() {
    let rollout = start().await;
    rollout.offer("long-failure");
    let state = rollout.until("it waits", |state| candidate(state) == digest("long-failure")).await;
    check_words(&rollout, &state);
    rollout.command(Decision::Reject(named("long-failure"))).await.unwrap();
    // Nothing speaks against this one but its name.
    rollout.offer("long-name");
    let state = rollout.until("it is taken", |state| active(state) == digest("long-name")).await;
    assert_eq!(state.candidate, None);
    check_words(&rollout, &state);
}

#[track_caller]
fn check_words(rollout: &Rollout, state: &ModuleState) {
    let text = serde_json::to_string(state).unwrap();
    assert!(!text.contains("\\u001b") && !text.contains("\\n"), "{text}");
    let size = std::fs::metadata(rollout.world.path("state.json")).unwrap().len();
    assert!(size < 100_000, "{size} bytes of state");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_fails_later_is_taken_back() {
    let rollout = start().await;
    rollout.offer("panic-at-10.0.66.6");
    rollout.until_tagged("none", 3).await;
    // The cause of its failure reaches one entry after the other; the previous module serves them meanwhile.
    for number in 0..3 {
        rollout.world.answer(&format!("entry-{number}"), None, &["10.0.66.6"]);
        rollout.until_addresses(number, &["10.0.66.6"]).await;
    }
    assert_eq!(active(&rollout.status().await), digest("panic-at-10.0.66.6"));
    rollout.world.answer("entry-0", None, &["10.0.66.6", "10.0.0.7"]);
    let state = rollout.until("it is taken back", |state| active(state) == digest("tag-one")).await;
    assert_eq!(state.refused[0].identity.module.to_string(), digest("panic-at-10.0.66.6"));
    rollout.until_tagged("one", 3).await;
    rollout.until_addresses(0, &["10.0.0.7", "10.0.66.6"]).await;
    // A restart does not take it up again.
    let rollout = rollout.restart(|config, world| config.modules.cache = Some(world.path("cache"))).await;
    let state = rollout.until("it waits", |state| state.candidate.is_some()).await;
    assert_eq!((active(&state), candidate(&state)), (digest("tag-one"), digest("panic-at-10.0.66.6")));
    assert!(state.candidate.unwrap().objections[0].contains("it was refused before"));
}
