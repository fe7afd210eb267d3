//! A module that nothing speaks against is taken by itself.

use polaris2istio::rollout::ModuleEventKind;

use super::{Rollout, active, digest};
use polaris2istio::control::Command;
use polaris2istio::rollout::ModuleEvent;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_module_is_taken() {
    let rollout = Rollout::start(5, |_, _| {}).await;
    rollout.offer("tag-two");
    rollout.until_tagged("two", 5).await;
    let state = rollout.status().await;
    assert_eq!(active(&state), digest("tag-two"));
    assert_eq!(state.earlier[0].identity.module.to_string(), digest("tag-one"));
    let history: Vec<ModuleEvent> = serde_json::from_value(rollout.ask(Command::ModuleHistory).await.unwrap()).unwrap();
    let happened: Vec<_> = history.iter().map(|event| event.what).collect();
    assert_eq!(happened, [ModuleEventKind::Installed, ModuleEventKind::Switched]);
    let detail = &history[1].detail;
    assert!(detail.contains("5 entries: 0 unchanged, 5 changed, 0 newly rejected, 0 failed"), "{detail}");
    assert!(detail.contains("of 10 endpoints 0 would go, 0 change, 0 come"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_another_module_does_not_change_are_not_written() {
    let rollout = Rollout::start(3, |_, _| {}).await;
    let before = rollout.outputs();
    let modified = |name: &str| std::fs::metadata(rollout.world.output(name)).unwrap().modified().unwrap();
    let times = modified("entry-0");
    // Other bytes, the same behaviour: the tag is what follows the mark.
    let mut same = crate::guest::variant("tag-one");
    same.extend([0, 2, 1, b'x']);
    rollout.world.write("module.wasm", &same);
    let other = polaris2istio::digest::Digest::of(&same).to_string();
    rollout.until("the other module is in use", |state| active(state) == other).await;
    rollout.world.answer("entry-1", None, &["10.0.0.3"]);
    rollout.until_addresses(1, &["10.0.0.3"]).await;
    assert_eq!(modified("entry-0"), times);
    let after = rollout.outputs();
    assert_eq!(before["polaris.entry-0.yaml"], after["polaris.entry-0.yaml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_parameters_are_another_module() {
    let rollout = Rollout::start(2, |config, world| {
        world.write("parameters.yaml", b"region: north\n");
        config.modules.parameters_file = Some(world.path("parameters.yaml"));
    })
    .await;
    let one = rollout.status().await.active.unwrap().identity;
    assert_eq!(one.parameters.get("region").map(String::as_str), Some("north"));
    let before = rollout.outputs();
    rollout.world.write("parameters.yaml", b"region: south\nbehaviour: panic\n");
    let state = rollout.until("they wait", |state| state.candidate.is_some()).await;
    let pending = state.candidate.unwrap();
    assert_eq!(pending.module.identity.module, one.module);
    assert_eq!(pending.report.failed, 2);
    assert_eq!(state.active.unwrap().identity, one);
    rollout.world.write("parameters.yaml", b"region: south\n");
    let south = |text: Option<&String>| text.map(String::as_str) == Some("south");
    rollout
        .until("good ones are taken", |state| {
            state.candidate.is_none()
                && state.active.as_ref().is_some_and(|record| south(record.identity.parameters.get("region")))
        })
        .await;
    assert_eq!(rollout.outputs(), before);
}
