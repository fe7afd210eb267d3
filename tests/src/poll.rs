//! Waiting for a condition: the only place of the tests that sleeps, so that
//! no test waits longer than it must or depends on a guess of how long
//! something takes.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Short against anything that is waited for, and long enough not to load the
/// machine that the servers run on.
const PAUSE: Duration = Duration::from_millis(25);

/// Polls `condition` until it holds and returns its value.
///
/// The condition answers `Ok` once it holds and else `Err` with what it saw.
///
/// # Panics
///
/// When the deadline passes first: with what was waited for and the last seen
/// state.
pub async fn wait_for<T, S, F>(what: &str, deadline: Duration, condition: impl FnMut() -> F) -> T
where
    S: Display,
    F: Future<Output = Result<T, S>>,
{
    match try_for(deadline, condition).await {
        Ok(value) => value,
        Err(state) => panic!("{what}: not within {deadline:?}; last seen: {state}"),
    }
}

/// Like [`wait_for`], but the last seen state is the error, for those who can
/// do something about it.
pub async fn try_for<T, S, F>(deadline: Duration, mut condition: impl FnMut() -> F) -> Result<T, String>
where
    S: Display,
    F: Future<Output = Result<T, S>>,
{
    let end = Instant::now() + deadline;
    let mut state = String::from("nothing, the condition itself never answered");
    loop {
        // A condition that hangs is cut off too: a deadline is a deadline.
        match timeout_at(end, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => state = seen.to_string(),
            Err(_) => return Err(state),
        }
        if Instant::now() + PAUSE > end {
            return Err(state);
        }
        sleep(PAUSE).await;
    }
}
