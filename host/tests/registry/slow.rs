//! Services that are slow, beside others that are not.

use std::time::Duration;

use super::fake::{Fake, Reply};
use super::follower::{Heard, follow_http, heard, quick};
use super::listed;

/// More than may be asked at once.
const SLOW: usize = 48;

#[tokio::test]
async fn services_that_are_slow_keep_no_other_waiting() {
    let fake = Fake::start(|asked| match asked.name() {
        name if name.starts_with("slow") => Reply::Hang,
        name => Reply::polaris(listed(name, "r1", &[("1", "10.0.0.1")])),
    })
    .await;
    let slow: Vec<_> = (0..SLOW).map(|number| format!("slow{number}")).collect();
    let good: Vec<_> = (0..4).map(|number| format!("z-good{number}")).collect();
    let names: Vec<&str> = slow.iter().chain(&good).map(String::as_str).collect();
    let mut following = follow_http(quick(&[&fake]), &names);
    for _ in &good {
        let report = following.next().await;
        assert!(matches!(heard(&report), Heard::Listed(_)), "none of the slow has failed yet: {report:?}");
    }
    // Once they are known to be slow, they do not even keep others waiting at first.
    let failed = following.next().await;
    assert!(matches!(heard(&failed), Heard::Failed(_)), "{failed:?}");
    let asked = fake.asked();
    let times: Vec<_> = asked.iter().filter(|asked| asked.name() == good[0]).map(|asked| asked.at).collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(times.len() > 20 && longest < Duration::from_secs(2), "{} times, {longest:?}", times.len());
    let late = fake.asked().len();
    fake.wait_for("further questions about a good one", |asked| {
        let more = asked[late..].iter().filter(|asked| asked.name() == good[1]).count();
        (more >= 20).then_some(())
    })
    .await;
}
