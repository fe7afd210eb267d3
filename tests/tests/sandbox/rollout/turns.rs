//! A change of modules is no storm: entries change at a bounded rate, and what happens to their services meanwhile is seen
//! at once.

use std::num::NonZeroU32;

use polaris2istio_tests::wait_for;

use super::Rollout;

const ENTRIES: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn entries_change_one_after_the_other() {
    let rate = NonZeroU32::new(4).unwrap();
    let rollout = Rollout::start(ENTRIES, |config, _| config.swap_rate = rate).await;
    let start = std::time::Instant::now();
    rollout.offer("tag-two");
    wait_for("the change begins", super::SOON, || async {
        let tags = rollout.tags();
        if tags.contains_key("two") { Ok(()) } else { Err(format!("{tags:?}")) }
    })
    .await;
    // An entry whose turn has not come.
    let waits = |name: &str| std::fs::read_to_string(rollout.world.output(name)).unwrap().contains("tag: one");
    let number = (0..ENTRIES).rfind(|number| waits(&super::name(*number))).unwrap();
    rollout.world.answer(&super::name(number), None, &["10.0.0.7"]);
    rollout.until_addresses(number, &["10.0.0.7"]).await;
    assert!(rollout.tags()["one"] > 0, "the change was over before it could be looked at");
    rollout.until_tagged("two", ENTRIES).await;
    // As many as the rate may go at once, the others one after the other.
    let least = (ENTRIES as u32 - rate.get()) / rate.get();
    assert!(start.elapsed().as_secs() >= u64::from(least) - 1, "{:?}", start.elapsed());
}
