//! A module that nothing speaks against is taken by itself.

use polaris2istio::rollout::ModuleEventKind;

use super::{Swaps, active, digest};
use polaris2istio::control::Command;
use polaris2istio::rollout::ModuleEvent;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_module_is_taken() {
    let swaps = Swaps::start(5, |_, _| {}).await;
    swaps.offer("tag-two");
    swaps.until_tagged("two", 5).await;
    let state = swaps.status().await;
    assert_eq!(active(&state), digest("tag-two"));
    assert_eq!(state.previous.unwrap().identity.module.to_string(), digest("tag-one"));
    let history: Vec<ModuleEvent> = serde_json::from_value(swaps.ask(Command::ModuleHistory).await.unwrap()).unwrap();
    let happened: Vec<_> = history.iter().map(|event| event.what).collect();
    assert_eq!(happened, [ModuleEventKind::Installed, ModuleEventKind::Switched]);
    let detail = &history[1].detail;
    assert!(detail.contains("5 entries: 0 unchanged, 5 changed, 0 newly rejected, 0 failed"), "{detail}");
    assert!(detail.contains("of 10 endpoints 0 would go, 0 change, 0 come"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_another_module_does_not_change_are_not_written() {
    let swaps = Swaps::start(3, |_, _| {}).await;
    let before = swaps.outputs();
    let modified = |name: &str| std::fs::metadata(swaps.world.output(name)).unwrap().modified().unwrap();
    let times = modified("entry-0");
    // Other bytes, the same behaviour: the tag is what follows the mark.
    let mut same = crate::guest::variant("tag-one");
    same.extend([0, 2, 1, b'x']);
    swaps.world.write("module.wasm", &same);
    let other = polaris2istio::digest::Digest::of(&same).to_string();
    swaps.until("the other module is in use", |state| active(state) == other).await;
    swaps.world.answer("entry-1", None, &["10.0.0.3"]);
    swaps.until_addresses(1, &["10.0.0.3"]).await;
    assert_eq!(modified("entry-0"), times);
    let after = swaps.outputs();
    assert_eq!(before["polaris.entry-0.yaml"], after["polaris.entry-0.yaml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_parameters_are_another_module() {
    let swaps = Swaps::start(2, |config, world| {
        world.write("parameters.yaml", b"region: north\n");
        config.modules.parameters_file = Some(world.path("parameters.yaml"));
    })
    .await;
    let one = swaps.status().await.active.unwrap().identity;
    assert_eq!(one.parameters.get("region").map(String::as_str), Some("north"));
    let before = swaps.outputs();
    swaps.world.write("parameters.yaml", b"region: south\nbehaviour: panic\n");
    let state = swaps.until("they wait", |state| state.candidate.is_some()).await;
    let pending = state.candidate.unwrap();
    assert_eq!(pending.module.identity.module, one.module);
    assert_eq!(pending.report.failed, 2);
    assert_eq!(state.active.unwrap().identity, one);
    swaps.world.write("parameters.yaml", b"region: south\n");
    let south = |text: Option<&String>| text.map(String::as_str) == Some("south");
    swaps
        .until("good ones are taken", |state| {
            state.candidate.is_none()
                && state.active.as_ref().is_some_and(|record| south(record.identity.parameters.get("region")))
        })
        .await;
    assert_eq!(swaps.outputs(), before);
}
