//! When a loop does its work: soon after something changed, so that changes are worked on together, or when time alone says so.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The next time at which there is something to do, if there is one.
#[derive(Debug, Default)]
pub struct Due(Option<Instant>);

impl Due {
    /// There is something to do no later than after this pause.
    pub fn within(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.0 = Some(self.0.map_or(at, |due| due.min(at)));
    }

    /// Waits for the time. From then on there is nothing to do; a wait that is dropped changes nothing.
    pub async fn come(&mut self) {
        match self.0 {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_earliest_time_counts_and_comes_once() {
        let (mut due, start) = (Due::default(), Instant::now());
        due.within(Duration::from_secs(9));
        due.within(Duration::from_secs(2));
        due.within(Duration::from_secs(5));
        assert!(timeout(Duration::from_secs(1), due.come()).await.is_err(), "a wait that is dropped");
        due.come().await;
        assert_eq!(start.elapsed().as_secs(), 2);
        assert!(timeout(Duration::from_secs(60), due.come()).await.is_err(), "nothing is due any more");
    }
}
