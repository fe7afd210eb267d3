//! Nobody waits for a sick module: however many calls hang, the others' changes come as ever, and a roll-back takes effect at once.

use std::time::{Duration, Instant};

use polaris2istio::rollout::{Command, Decision};

use super::{Rollout, candidate, digest, named};

const TIME: Duration = Duration::from_secs(1);
/// A busy machine may take so much longer for anything.
const SLACK: Duration = Duration::from_millis(700);

async fn start(entries: usize, decision: Decision) -> Rollout {
    Rollout::start(entries, |config, world| {
        config.modules.limits.time = TIME;
        config.modules.cache = Some(world.path("cache"));
        config.modules.policy.decision = decision;
    })
    .await
}

impl Rollout {
    /// How long a change of a service takes to its entry.
    async fn change(&self, number: usize, host: &str) -> Duration {
        let begun = Instant::now();
        self.world.answer(&super::name(number), None, &[host]);
        self.until_addresses(number, &[host]).await;
        begun.elapsed()
    }

    /// The median of some changes, one after the other, of services from this one on.
    async fn median(&self, from: usize, host: &str) -> Duration {
        let mut times = Vec::new();
        for number in from..from + 7 {
            times.push(self.change(number, host).await);
        }
        times.sort_unstable();
        times[times.len() / 2]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_whose_calls_hang_keep_no_others_waiting() {
    let (entries, hanging) = (1_000, 100);
    let rollout = start(entries, Decision::Auto).await;
    let usual = rollout.median(hanging, "10.0.0.3").await;
    for number in 0..hanging {
        rollout.world.answer(&super::name(number), Some("loop"), &["10.0.0.4"]);
    }
    // Their calls take more than a minute and a half, one after the other.
    let beside = rollout.median(hanging, "10.0.0.5").await;
    assert!(beside < usual * 2 + SLACK, "{beside:?} beside those that hang, {usual:?} else");
    // Later ones, and those whose turn has come again, are no burden either.
    let later = rollout.median(hanging + 20, "10.0.0.6").await;
    assert!(later < usual * 2 + SLACK, "{later:?} beside those that hang, {usual:?} else");
    // What is sound again is served, behind a few calls that hang and not behind all.
    let mended = rollout.change(0, "10.0.0.7").await;
    assert!(mended < usual * 2 + TIME * 8 + SLACK, "{mended:?} for one that hung, {usual:?} else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_back_waits_for_no_call_of_the_module_that_it_takes_away() {
    let entries = 1_000;
    let rollout = start(entries, Decision::Review).await;
    let usual = rollout.median(0, "10.0.0.3").await;
    rollout.offer("loop");
    rollout.until("it waits", |state| candidate(state) == digest("loop")).await;
    rollout.command(Command::Promote(named("loop"))).await.unwrap();
    rollout.until("it is in use", |state| super::active(state) == digest("loop")).await;
    // All calls of it hang now, for a quarter of an hour together.
    rollout.command(Command::Rollback(named("tag-one"))).await.unwrap();
    let after = rollout.median(20, "10.0.0.5").await;
    assert!(after < usual * 2 + SLACK, "{after:?} after the roll-back, {usual:?} before");
}
